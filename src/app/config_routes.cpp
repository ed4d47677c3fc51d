// Routes as the file gives them: their tables of keys, and what is wrong with one by itself.
#include "app/config_schema.hpp"
#include "app/config_text.hpp"

#include <algorithm>
#include <charconv>

namespace larder::app {

namespace {

using Reader = ConfigReader;
using Node = YamlNode;
using provider::FailurePolicy;
using provider::RouteMode;
using provider::Sticky;

constexpr Range<milliseconds> kTimeout{milliseconds(1), std::chrono::hours(24)};
constexpr std::size_t kMostRoutes = 256;
constexpr std::size_t kMostTargets = 32;
constexpr std::size_t kNameLength = 64;

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= kNameLength && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-_.:").find(c) != std::string_view::npos;
    });
}

/// A text that must not be empty.
void read_name(Reader& r, const Node& n, std::string& out) {
    const auto value = r.text(n);
    if (!value)
        return;
    if (value->empty())
        return r.mistake(n, "must not be empty");
    out = *value;
}

void read_weight(Reader& r, const Node& n, TargetDraft& d) {
    std::int64_t weight = 1;
    r.read(n, weight, Range<std::int64_t>{1, 1000});
    d.target.weight = static_cast<std::uint32_t>(weight);
    d.weight_line = n.line;
}

void read_deployment(Reader& r, const Node& n, TargetDraft& d) {
    const auto value = r.text(n);
    if (!value)
        return;
    if (!is_name(*value))
        return r.mistake(n, "must have 1 to 64 letters, digits, '-', '_', '.', ':'");
    d.target.deployment = *value;
}

void read_first_byte_timeout(Reader& r, const Node& n, std::optional<milliseconds>& out) {
    milliseconds value{1};
    r.read(n, value, kTimeout);
    out = value;
}

constexpr KeySpec<TargetDraft> kTargetKeys[] = {
    {"model", "text", "", "As clients name it: an alias, `provider/model`, a model's own name.",
     [](Reader& r, const Node& n, TargetDraft& d) { read_name(r, n, d.target.model); }},
    {"provider", "text", "by the model's name", "Where `model` is asked for.",
     [](Reader& r, const Node& n, TargetDraft& d) { read_name(r, n, d.target.provider); }},
    {"route", "text", "", "Another route, in place of `model`.",
     [](Reader& r, const Node& n, TargetDraft& d) { read_name(r, n, d.target.route); }},
    {"weight", "number", "1", "Its share of a load-balance, from 1 to 1000.", read_weight},
    {"deployment", "text", "",
     "Targets of one name, in whichever routes, share cached answers: the same model at several "
     "hosts or keys. They must speak one API.",
     read_deployment},
    {"first_byte_timeout", "duration", "the route's", "For its first byte.",
     [](Reader& r, const Node& n, TargetDraft& d) {
         read_first_byte_timeout(r, n, d.target.first_byte_timeout);
     }},
    {"retries", "number", "0", "Tries after its first. The last target's: its provider's.",
     [](Reader& r, const Node& n, TargetDraft& d) {
         int value = 0;
         r.read(n, value, Range<int>{0, 10});
         d.target.retries = value;
     }},
};

/// Of 400 to 599; nullopt: another text.
std::optional<int> read_status(std::string_view text) {
    int status = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
    if (text.size() != 3 || error != std::errc() || end != text.data() + 3 || status < 400 ||
        status > 599)
        return std::nullopt;
    return status;
}

/// "429", "5xx" or "500-599".
std::optional<std::pair<int, int>> read_statuses(std::string_view text) {
    if (text == "4xx")
        return std::pair(400, 499);
    if (text == "5xx")
        return std::pair(500, 599);
    const std::size_t dash = text.find('-');
    const auto from = read_status(text.substr(0, dash));
    const auto to = dash == std::string_view::npos ? from : read_status(text.substr(dash + 1));
    if (!from || !to || *from > *to)
        return std::nullopt;
    return std::pair(*from, *to);
}

void read_failure(Reader& r, const Node& n, FailurePolicy& on) {
    const auto value = r.scalar(n, "a status or a word");
    if (!value)
        return;
    constexpr std::pair<std::string_view, bool FailurePolicy::*> kWords[] = {
        {"connection", &FailurePolicy::connection},
        {"timeout", &FailurePolicy::timeout},
        {"unreadable", &FailurePolicy::unreadable},
        {"unconfigured", &FailurePolicy::unconfigured}};
    for (const auto& [word, member] : kWords) {
        if (word == *value) {
            on.*member = true;
            return;
        }
    }
    const auto statuses = read_statuses(*value);
    if (!statuses)
        return r.mistake(n, "must be a status from 400 to 599, 4xx, 5xx, a range such as 500-503, "
                            "or one of connection, timeout, unreadable, unconfigured");
    on.statuses.push_back(*statuses);
}

void read_on(Reader& r, const Node& n, RouteDraft& d) {
    FailurePolicy on{.statuses = {},
                     .connection = false,
                     .timeout = false,
                     .unreadable = false,
                     .unconfigured = false};
    r.for_each_item(n, [&](const Node& item) { read_failure(r, item, on); });
    if (n.kind == Node::Kind::kNull || (n.kind == Node::Kind::kList && n.items.empty()))
        r.mistake(n, "an empty list never asks the next target; leave it out for the default");
    d.route.on = std::move(on);
}

void read_target(Reader& r, const Node& n, RouteDraft& d) {
    TargetDraft target{.path = r.path(), .line = n.line};
    const auto of_variable = [](const Node* node) {
        return node != nullptr && node->scalar.find("${") != std::string::npos;
    };
    if (n.kind == Node::Kind::kScalar) {
        target.from_variable = of_variable(&n);
        read_name(r, n, target.text);
        d.targets.push_back(std::move(target));
        return;
    }
    r.read_map(n, route_target_keys(), target);
    const bool has_model = n.find("model") != nullptr;
    const bool has_route = n.find("route") != nullptr;
    if (n.kind != Node::Kind::kList && has_model == has_route)
        r.mistake(n, has_model ? "model and route exclude each other" : "needs model or route");
    for (const std::string_view key : {"provider", "deployment", "retries"}) {
        if (has_route && !has_model && n.find(key) != nullptr)
            r.mistake(n, std::string(key) + " has no meaning beside route");
    }
    for (const std::string_view key : {"model", "provider", "route"})
        target.from_variable = target.from_variable || of_variable(n.find(key));
    d.targets.push_back(std::move(target));
}

void read_targets(Reader& r, const Node& n, RouteDraft& d) {
    r.for_each_item(n, [&](const Node& item) { read_target(r, item, d); });
    const bool is_empty =
        n.kind == Node::Kind::kNull || (n.kind == Node::Kind::kList && n.items.empty());
    if (is_empty || n.items.size() > kMostTargets)
        r.mistake(n, "must list 1 to " + std::to_string(kMostTargets) + " targets");
}

constexpr KeySpec<RouteDraft> kRouteKeys[] = {
    {"mode", "single-model, fallback, load-balance, fastest, cheapest", "",
     "How the order of the targets is found. Needed.",
     [](Reader& r, const Node& n, RouteDraft& d) {
         r.read<std::optional<RouteMode>>(n, d.mode,
                                          {{"single-model", RouteMode::kSingleModel},
                                           {"fallback", RouteMode::kFallback},
                                           {"load-balance", RouteMode::kLoadBalance},
                                           {"fastest", RouteMode::kFastest},
                                           {"cheapest", RouteMode::kCheapest}});
     }},
    {"targets", "list", "",
     "1 to 32: each a text (a route's name, else a model as clients name it) or a map. Needed.",
     read_targets},
    {"on", "list of statuses and words",
     "[408, 429, 5xx, connection, timeout, unreadable, unconfigured]",
     "After which failures of a target the next one is asked: only after those that are listed.",
     read_on},
    {"sticky", "none, session, user", "none",
     "Whose requests stay with one target of a load-balance as long as it is well.",
     [](Reader& r, const Node& n, RouteDraft& d) {
         d.sticky.line = n.line;
         r.read(n, d.sticky.value,
                {{"none", Sticky::kNone}, {"session", Sticky::kSession}, {"user", Sticky::kUser}});
     }},
    {"first_byte_timeout", "duration", "the provider's", "For each target's first byte.",
     [](Reader& r, const Node& n, RouteDraft& d) {
         read_first_byte_timeout(r, n, d.route.first_byte_timeout);
     }},
};

/// What has a meaning in a load-balance only.
void check_mode(Reader& r, const RouteDraft& d) {
    if (!d.mode || *d.mode == RouteMode::kLoadBalance)
        return;
    if (d.sticky.value != Sticky::kNone)
        r.mistake_at(d.sticky.line, r.path() + ".sticky",
                     "has no meaning without mode: load-balance");
    for (const TargetDraft& each : d.targets) {
        if (each.weight_line != 0)
            r.mistake_at(each.weight_line, each.path + ".weight",
                         "has no meaning without mode: load-balance");
    }
}

} // namespace

std::span<const KeySpec<RouteDraft>> model_route_keys() {
    return kRouteKeys;
}
std::span<const KeySpec<TargetDraft>> route_target_keys() {
    return kTargetKeys;
}

void read_model_routes(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    if (node.entries.size() > kMostRoutes)
        return reader.mistake(node, "must be at most " + std::to_string(kMostRoutes) + " routes");
    reader.for_each_named(node, [&](const std::string& name, const YamlNode& value) {
        RouteDraft route{.line = value.line};
        route.route.name = name;
        if (!is_name(name))
            reader.mistake(value,
                           "a route's name has up to 64 letters, digits, '-', '_', '.', ':'");
        if (provider::route_mode_named(name))
            reader.mistake(value, "is the name of a mode; call the route otherwise");
        reader.read_map(value, model_route_keys(), route);
        const bool is_map =
            value.kind == YamlNode::Kind::kMap || value.kind == YamlNode::Kind::kNull;
        for (const std::string_view key : {"mode", "targets"}) {
            if (is_map && value.find(key) == nullptr)
                reader.mistake(value, "needs " + std::string(key));
        }
        check_mode(reader, route);
        route.route.mode = route.mode.value_or(RouteMode::kFallback);
        route.route.sticky = route.sticky.value;
        draft.routes.push_back(std::move(route));
    });
}

} // namespace larder::app
