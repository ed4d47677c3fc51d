// Walks over the canonical bodies: they say exactly what the key sees.
#include "gateway/explain.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <span>

namespace larder::gateway {
namespace {

constexpr std::size_t kMostParts = 1000;
constexpr std::size_t kMostDifferences = 50;
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestPath = 1024;
constexpr std::string_view kBody = "body";

/// Members whose elements have rows of their own.
bool is_listed_by_element(std::string_view name) {
    return name == "messages" || name == "input" || name == "contents";
}

/// A member's name at the end of a path: as it is where it reads as a word, else in brackets and
/// quotes, and never longer than `kLongestName`.
void append_member_name(std::string& path, std::string_view name) {
    const auto is_plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_' || c == '-' || c == '$';
    };
    if (!name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, is_plain)) {
        if (!path.empty())
            path += '.';
        path += name;
        return;
    }
    std::size_t size = std::min(name.size(), kLongestName);
    while (size > 0 && size < name.size() &&
           (static_cast<unsigned char>(name[size]) & 0xC0) == 0x80)
        --size; // within a character
    path += '[';
    json::write_string(path, std::string(name.substr(0, size)) + (size < name.size() ? "…" : ""));
    path += ']';
}

void append_index(std::string& path, std::size_t index) {
    ((path += '[') += std::to_string(index)) += ']';
}

struct Member {
    std::string name;
    json::Value value;
    std::size_t place; // among its object's members
};

std::vector<Member> sorted_members(json::Value object) {
    std::vector<Member> members;
    object.for_each_member([&](std::string_view name, json::Value value) {
        members.push_back({std::string(name), value, members.size()});
        return true;
    });
    std::ranges::sort(members, {}, &Member::name);
    return members;
}

std::vector<json::Value> elements_of(json::Value array) {
    std::vector<json::Value> elements;
    array.for_each_element([&](json::Value element) {
        elements.push_back(element);
        return true;
    });
    return elements;
}

/// Compares two canonical bodies; as deep as they are alike in kind.
class Comparison {
public:
    Comparison(const ValueHasher& hasher, Differences& differences)
        : hasher_(hasher), differences_(differences) {}

    void compare(const json::Value& first, const json::Value& second) {
        if (differences_.some_left_out || first.raw() == second.raw())
            return;
        if (first.is(json::Kind::kObject) && second.is(json::Kind::kObject))
            compare_objects(first, second);
        else if (first.is(json::Kind::kArray) && second.is(json::Kind::kArray))
            compare_arrays(first, second);
        else
            note(Difference::Kind::kValue, &first, &second);
    }

private:
    void compare_objects(json::Value first, json::Value second) {
        const std::vector<Member> left = sorted_members(first);
        const std::vector<Member> right = sorted_members(second);
        std::vector<std::pair<std::size_t, std::size_t>> places; // of what both have
        for (std::size_t i = 0, j = 0; i < left.size() || j < right.size();) {
            const bool only_left =
                j == right.size() || (i < left.size() && left[i].name < right[j].name);
            const bool only_right =
                !only_left && (i == left.size() || right[j].name < left[i].name);
            const std::size_t before = path_.size();
            append_member_name(path_, only_right ? right[j].name : left[i].name);
            if (only_left) {
                note(Difference::Kind::kMissing, &left[i++].value, nullptr);
            } else if (only_right) {
                note(Difference::Kind::kMissing, nullptr, &right[j++].value);
            } else {
                places.emplace_back(left[i].place, right[j].place);
                compare(left[i++].value, right[j++].value);
            }
            path_.resize(before);
        }
        std::ranges::sort(places);
        if (!std::ranges::is_sorted(places, {}, &std::pair<std::size_t, std::size_t>::second))
            note(Difference::Kind::kOrder, &first, &second);
    }

    void compare_arrays(json::Value first, json::Value second) {
        const auto left = elements_of(first);
        const auto right = elements_of(second);
        for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
            if (differences_.some_left_out)
                return;
            const std::size_t before = path_.size();
            append_index(path_, i);
            if (i < left.size() && i < right.size())
                compare(left[i], right[i]);
            else
                note(Difference::Kind::kMissing, i < left.size() ? &left[i] : nullptr,
                     i < right.size() ? &right[i] : nullptr);
            path_.resize(before);
        }
    }

    void note(Difference::Kind kind, const json::Value* first, const json::Value* second) {
        if (differences_.rows.size() == kMostDifferences) {
            differences_.some_left_out = true;
            return;
        }
        std::string path = path_.size() <= kLongestPath ? path_ : cut_path();
        differences_.rows.push_back(
            {.path = std::move(path),
             .kind = kind,
             .first = first != nullptr ? hasher_.of_value(first->raw()) : std::string(),
             .second = second != nullptr ? hasher_.of_value(second->raw()) : std::string(),
             .in_body = true});
    }

    [[nodiscard]] std::string cut_path() const {
        std::size_t size = kLongestPath;
        while ((static_cast<unsigned char>(path_[size]) & 0xC0) == 0x80)
            --size;
        return path_.substr(0, size) + "…";
    }

    const ValueHasher& hasher_;
    Differences& differences_;
    std::string path_;
};

/// What may be read in clear: names of the operator's own that every client knows.
std::string shown_value(const Prepared& prepared, std::string_view name, std::string_view value) {
    if (name == "upstream")
        return prepared.target.provider->name;
    if (name == "path")
        return std::string(value.substr(0, value.find('?')));
    return name == "method" || name == "dialect" ? std::string(value) : std::string();
}

void add_part(ExplainedParts& explained, ExplainedPart part) {
    if (explained.parts.size() < kMostParts)
        explained.parts.push_back(std::move(part));
    else
        ++explained.left_out;
}

void add_body_parts(ExplainedParts& explained, const Prepared& prepared, json::Value body,
                    const ValueHasher& hasher) {
    const auto add = [&](std::string name, json::Value value, std::string shown) {
        const bool is_listed = explained.parts.size() < kMostParts;
        add_part(explained, {.name = std::move(name),
                             .hash = is_listed ? hasher.of_value(value.raw()) : std::string(),
                             .bytes = value.raw().size(),
                             .shown = std::move(shown),
                             .in_body = true});
    };
    body.for_each_member([&](std::string_view name, json::Value value) {
        std::string path;
        append_member_name(path, name);
        if (!is_listed_by_element(name) || !value.is(json::Kind::kArray)) {
            add(std::move(path), value, name == "model" ? prepared.target.model : std::string());
            return true;
        }
        std::size_t index = 0;
        value.for_each_element([&](json::Value element) {
            std::string element_path = path;
            append_index(element_path, index++);
            add(std::move(element_path), element, {});
            return true;
        });
        return true;
    });
}

using Parts = std::vector<std::pair<std::string, std::string>>;

const std::string* find_part(const Parts& parts, std::string_view name) {
    const auto found = std::ranges::find(parts, name, &std::pair<std::string, std::string>::first);
    return found == parts.end() ? nullptr : &found->second;
}

/// `of` against `other`: what differs, and what only `of` has.
void compare_parts(const Parts& of, const Parts& other, bool is_first, const ValueHasher& hasher,
                   Differences& differences) {
    for (const auto& [name, value] : of) {
        const std::string* there = find_part(other, name);
        if (name == kBody || (there != nullptr && (*there == value || !is_first)))
            continue;
        const std::string here = hasher.of_part(name, value);
        const std::string beside = there != nullptr ? hasher.of_part(name, *there) : std::string();
        differences.rows.push_back(
            {.path = name,
             .kind = there != nullptr ? Difference::Kind::kValue : Difference::Kind::kMissing,
             .first = is_first ? here : beside,
             .second = is_first ? beside : here});
    }
}

} // namespace

ValueHasher::ValueHasher()
    : ValueHasher([] {
          Secret secret{};
          random_bytes(secret);
          return secret;
      }()) {}

ValueHasher::ValueHasher(const Secret& secret) {
    constexpr std::size_t kBlock = 64;
    inner_.assign(kBlock, '\x36');
    outer_.assign(kBlock, '\x5c');
    for (std::size_t i = 0; i < secret.size(); ++i) {
        inner_[i] = static_cast<char>(secret[i] ^ 0x36);
        outer_[i] = static_cast<char>(secret[i] ^ 0x5c);
    }
}

std::string ValueHasher::of_value(std::string_view canonical) const {
    return hash("value", {}, canonical);
}

std::string ValueHasher::of_part(std::string_view name, std::string_view value) const {
    return hash("part", name, value);
}

std::string ValueHasher::of_key(const llm::Fingerprint& key) const {
    return hash("key", {}, {reinterpret_cast<const char*>(key.data()), key.size()});
}

std::string ValueHasher::hash(std::string_view kind, std::string_view name,
                              std::string_view value) const {
    constexpr std::string_view kEnd("\0", 1);
    const std::array message{std::string_view(inner_), kind, kEnd, name, kEnd, value};
    const Sha256 inside = sha256(message);
    const std::array outside{
        std::string_view(outer_),
        std::string_view(reinterpret_cast<const char*>(inside.data()), inside.size())};
    const Sha256 digest = sha256(outside);
    constexpr std::size_t kShownBytes = 8;
    return text::hex({reinterpret_cast<const char*>(digest.data()), kShownBytes});
}

Result<ExplainedParts> explain_parts(const Prepared& prepared, const KeyContents& contents,
                                     const ValueHasher& hasher) {
    ExplainedParts explained;
    for (const auto& [name, value] : contents.parts) {
        if (name == kBody) {
            LARDER_TRY(const json::Document body, json::parse(value));
            add_body_parts(explained, prepared, body.root(), hasher);
        } else {
            add_part(explained, {.name = name,
                                 .hash = hasher.of_part(name, value),
                                 .bytes = value.size(),
                                 .shown = shown_value(prepared, name, value)});
        }
    }
    return explained;
}

std::string_view explain_bypass(const Prepared& prepared) {
    const CacheConfig& cache = prepared.settings->cache;
    const RuleMode mode = prepared.rule ? cache.rules[*prepared.rule].mode : RuleMode::kOn;
    if (!cache.enabled)
        return "cache.enabled";
    if (!prepared.call.bypass.empty())
        return prepared.call.bypass;
    if (mode != RuleMode::kOn)
        return mode == RuleMode::kOff ? "cache.rules" : "coalesce_only";
    if (prepared.directives.no_store)
        return "no-store";
    return prepared.ttl.count() > 0 ? std::string_view() : "ttl";
}

std::string explain_form(ClientForm form) {
    const bool is_llm = form == ClientForm::kLlmPlain || form == ClientForm::kLlmStream;
    const std::string_view bytes = is_llm ? "llm" : is_native(form) ? "native" : "converted";
    return std::string(bytes) + (is_stream(form) ? ".stream" : ".plain");
}

Result<Differences> explain_differences(const KeyContents& first, const KeyContents& second,
                                        const ValueHasher& hasher) {
    Differences differences;
    compare_parts(first.parts, second.parts, true, hasher, differences);
    compare_parts(second.parts, first.parts, false, hasher, differences);
    const std::string* left = find_part(first.parts, kBody);
    const std::string* right = find_part(second.parts, kBody);
    LARDER_ASSERT(left != nullptr && right != nullptr);
    LARDER_TRY(const json::Document left_body, json::parse(*left));
    LARDER_TRY(const json::Document right_body, json::parse(*right));
    Comparison(hasher, differences).compare(left_body.root(), right_body.root());
    return differences;
}

} // namespace larder::gateway
