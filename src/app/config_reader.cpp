// Walking the tree, substituting variables, and saying what is wrong.
#include "app/config_reader.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

namespace larder::app {

namespace {

constexpr std::size_t kMistakesShown = 50;

bool is_name_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_plain_boolean(std::string_view text) {
    constexpr std::array<std::string_view, 6> kWords = {"true",  "True",  "TRUE",
                                                        "false", "False", "FALSE"};
    return std::ranges::find(kWords, text) != kWords.end();
}

bool is_plain_number(std::string_view text) {
    if (text.starts_with('+'))
        text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error != std::errc::invalid_argument && end == text.data() + text.size();
}

/// Changes of one character that lead from one text to the other (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

std::string join(std::string_view place, std::string_view name) {
    std::string path(place);
    if (!path.empty() && !name.empty())
        path += '.';
    return path += name;
}

std::string_view kind_name(YamlNode::Kind kind) {
    switch (kind) {
    case YamlNode::Kind::kNull:
        return "nothing";
    case YamlNode::Kind::kScalar:
        return "a single value";
    case YamlNode::Kind::kList:
        return "a list";
    case YamlNode::Kind::kMap:
        return "a map";
    }
    return "";
}

} // namespace

void ConfigReader::visit_map(const YamlNode& node, std::span<const std::string_view> paths,
                             const std::string& below,
                             const std::function<void(std::size_t, const YamlNode&)>& visit) {
    if (node.kind == YamlNode::Kind::kNull)
        return; // "server:" with nothing under it
    if (node.kind != YamlNode::Kind::kMap)
        return wrong_type(node, "a map");
    const std::string place = path_;
    for (const YamlEntry& entry : node.entries) {
        const std::string relative = join(below, entry.key);
        path_ = join(place, entry.key);
        const auto exact = std::ranges::find(paths, relative);
        const bool is_section = std::ranges::any_of(
            paths, [&](std::string_view path) { return path.starts_with(relative + "."); });
        if (exact != paths.end())
            visit(static_cast<std::size_t>(exact - paths.begin()), entry.value);
        else if (is_section)
            visit_map(entry.value, paths, relative, visit);
        else
            unknown_key(entry.value, paths, relative, place);
    }
    path_ = place;
}

/// Suggests the nearest key of the same place, else the nearest of the table.
void ConfigReader::unknown_key(const YamlNode& node, std::span<const std::string_view> paths,
                               std::string_view path, std::string_view place) {
    const std::size_t dot = path.rfind('.');
    const std::string_view section = dot == std::string_view::npos ? "" : path.substr(0, dot);
    const std::string_view name = dot == std::string_view::npos ? path : path.substr(dot + 1);
    // Where the table itself stands: `place` ends with `section`.
    const std::string_view table = place.substr(0, place.size() - section.size());
    std::string best;
    std::size_t best_distance = std::clamp<std::size_t>(name.size() / 2, 1, 3) + 1;
    for (const std::string_view known : paths) {
        if (!known.starts_with(section) ||
            (!section.empty() && known.substr(section.size(), 1) != "."))
            continue;
        std::string_view rest = known.substr(section.empty() ? 0 : section.size() + 1);
        rest = rest.substr(0, rest.find('.'));
        const std::size_t changes = distance(name, rest);
        if (changes >= best_distance)
            continue;
        best_distance = changes;
        best = join(section, rest);
    }
    std::string text = "unknown key";
    if (!best.empty())
        text += "; did you mean " +
                join(table.ends_with('.') ? table.substr(0, table.size() - 1) : table, best) + "?";
    mistake(node, std::move(text));
}

void ConfigReader::for_each_named(
    const YamlNode& node, const std::function<void(const std::string&, const YamlNode&)>& visit) {
    if (node.kind == YamlNode::Kind::kNull)
        return;
    if (node.kind != YamlNode::Kind::kMap)
        return wrong_type(node, "a map");
    const std::string place = path_;
    for (const YamlEntry& entry : node.entries) {
        path_ = join(place, entry.key);
        visit(entry.key, entry.value);
    }
    path_ = place;
}

void ConfigReader::for_each_item(const YamlNode& node,
                                 const std::function<void(const YamlNode&)>& visit) {
    if (node.kind == YamlNode::Kind::kNull)
        return;
    if (node.kind != YamlNode::Kind::kList)
        return wrong_type(node, "a list");
    const std::string place = path_;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        path_ = place + "[" + std::to_string(i) + "]";
        visit(node.items[i]);
    }
    path_ = place;
}

std::optional<std::string> ConfigReader::scalar(const YamlNode& node, std::string_view expected) {
    if (node.kind != YamlNode::Kind::kScalar) {
        wrong_type(node, expected);
        return std::nullopt;
    }
    return expand(node);
}

/// Puts ${NAME} in; "$" alone stands for itself.
std::optional<std::string> ConfigReader::expand(const YamlNode& node) {
    const std::string_view raw = node.scalar;
    std::string out;
    bool complete = true;
    for (std::size_t at = 0; at < raw.size();) {
        const std::size_t open = raw.find("${", at);
        out += raw.substr(at, open == std::string_view::npos ? open : open - at);
        if (open == std::string_view::npos)
            break;
        const std::size_t close = raw.find('}', open);
        const std::string_view name =
            close == std::string_view::npos ? "" : raw.substr(open + 2, close - open - 2);
        if (name.empty() || !std::ranges::all_of(name, is_name_character)) {
            mistake(node, "'${' must be followed by the name of an environment variable and '}'");
            return std::nullopt;
        }
        at = close + 1;
        if (const auto value = variable(name)) {
            out += *value;
            continue;
        }
        complete = false;
        if (!tolerant_)
            mistake(node, "the environment variable " + std::string(name) + " is not set");
        else if (missing_variable_.empty())
            missing_variable_ = name;
    }
    return complete ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<std::string> ConfigReader::text(const YamlNode& node) {
    const bool plain = node.kind == YamlNode::Kind::kScalar && !node.quoted;
    if (plain && (is_plain_boolean(node.scalar) || is_plain_number(node.scalar))) {
        mistake(node, "must be text; put " + quoted(node) + " in quotes");
        return std::nullopt;
    }
    auto value = scalar(node, "text");
    if (!value)
        return std::nullopt;
    if (std::ranges::any_of(*value, [](char c) { return (c >= 0 && c < ' ') || c == 127; })) {
        mistake(node, "must have no line breaks or control characters");
        return std::nullopt;
    }
    return value;
}

void ConfigReader::read(const YamlNode& node, std::string& out) {
    if (auto value = text(node))
        out = *std::move(value);
}

void ConfigReader::read(const YamlNode& node, bool& out) {
    const auto value = scalar(node, "true or false");
    if (!value)
        return;
    const bool substituted = node.scalar != *value;
    if (!is_plain_boolean(*value) || (node.quoted && !substituted))
        return mistake(node, "must be true or false");
    out = text::lower(*value) == "true";
}

std::optional<std::int64_t> ConfigReader::integer(const YamlNode& node) {
    const auto value = scalar(node, "a whole number");
    if (!value)
        return std::nullopt;
    std::int64_t number = 0;
    const char* const last = value->data() + value->size();
    const auto [end, error] = std::from_chars(value->data(), last, number);
    const bool substituted = node.scalar != *value;
    if (error != std::errc() || end != last || (node.quoted && !substituted)) {
        mistake(node, "must be a whole number");
        return std::nullopt;
    }
    return number;
}

void ConfigReader::read(const YamlNode& node, std::int64_t& out, Range<std::int64_t> range) {
    const auto number = integer(node);
    if (!number)
        return;
    if (*number < range.min || *number > range.max)
        return mistake(node, "must be from " + std::to_string(range.min) + " to " +
                                 std::to_string(range.max));
    out = *number;
}

void ConfigReader::read(const YamlNode& node, int& out, Range<int> range) {
    std::int64_t number = out;
    read(node, number, Range<std::int64_t>{range.min, range.max});
    out = static_cast<int>(number);
}

void ConfigReader::read(const YamlNode& node, milliseconds& out, Range<milliseconds> range) {
    const auto value = scalar(node, "a duration");
    if (!value)
        return;
    const auto duration =
        *value == "0" ? Result<milliseconds>(milliseconds(0)) : text::parse_duration(*value);
    if (!duration)
        return mistake(node, "must be a duration such as 250ms, 60s, 5m, 24h or 7d");
    if (*duration < range.min || *duration > range.max)
        return mistake(node, "must be from " + std::to_string(range.min.count()) + "ms to " +
                                 std::to_string(range.max.count()) + "ms");
    out = *duration;
}

void ConfigReader::read(const YamlNode& node, std::uint64_t& out, Range<std::uint64_t> range) {
    const auto value = scalar(node, "a size");
    if (!value)
        return;
    const auto size = text::parse_size(*value);
    if (!size)
        return mistake(node, "must be a size such as 512, 64KiB, 256MiB or 2GiB");
    if (*size < range.min || *size > range.max)
        return mistake(node, "must be from " + std::to_string(range.min) + " to " +
                                 std::to_string(range.max) + " bytes");
    out = *size;
}

void ConfigReader::read(const YamlNode& node, std::vector<std::string>& out) {
    std::vector<std::string> values;
    for_each_item(node, [&](const YamlNode& item) {
        if (auto value = text(item))
            values.push_back(*std::move(value));
    });
    out = std::move(values);
}

void ConfigReader::wrong_type(const YamlNode& node, std::string_view expected) {
    mistake(node,
            "must be " + std::string(expected) + ", not " + std::string(kind_name(node.kind)));
}

void ConfigReader::mistake(const YamlNode& node, std::string text) {
    mistake_at(node.line, path_, std::move(text));
}

void ConfigReader::mistake_at(int line, std::string_view path, std::string text) {
    add(line, path.empty() ? std::move(text) : std::string(path) + ": " + text);
}

void ConfigReader::add_mistakes(const std::vector<YamlMistake>& mistakes) {
    for (const YamlMistake& each : mistakes)
        add(each.line, each.text);
}

void ConfigReader::environment_mistake(std::string_view variable, std::string_view text) {
    add(0, std::string(variable) + ": " + std::string(text));
}

void ConfigReader::add(int line, std::string text) {
    mistakes_.push_back({line, mistakes_.size(), std::move(text)});
}

Error ConfigReader::error() const {
    std::vector<Mistake> sorted = mistakes_;
    std::ranges::sort(sorted, {},
                      [](const Mistake& each) { return std::pair(each.line, each.order); });
    std::string message;
    for (std::size_t i = 0; i < sorted.size() && i < kMistakesShown; ++i) {
        const Mistake& each = sorted[i];
        message += i == 0 ? "" : "\n";
        message += each.line == 0 ? "environment" : file_name_ + ":" + std::to_string(each.line);
        message += ": " + each.text;
    }
    if (sorted.size() > kMistakesShown)
        message += "\nand " + std::to_string(sorted.size() - kMistakesShown) + " more";
    return {.code = ErrorCode::kInvalidRequest, .message = std::move(message)};
}

std::optional<std::string> ConfigReader::variable(std::string_view name) const {
    return environment_.variable ? environment_.variable(name) : std::nullopt;
}

} // namespace larder::app
