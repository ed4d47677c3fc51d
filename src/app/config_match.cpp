// Globs against globs, and conditions against conditions.
#include "app/config_match.hpp"

#include "api/routes.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace larder::app {

namespace {

struct Endpoint {
    std::string_view method; // `*`: any
    std::string_view path;   // `*` for any run of characters
};

/// The contract's endpoints that come with later versions.
constexpr Endpoint kLater[] = {
    {"*", "/admin/*"},
};

/// A route's path with `*` in its parameter's place.
std::string as_glob(std::string_view path) {
    const std::size_t open = path.find('{');
    if (open == std::string_view::npos)
        return std::string(path);
    return std::string(path.substr(0, open)) + '*' +
           std::string(path.substr(path.find('}', open) + 1));
}

/// Whether some text is matched by both globs.
bool globs_meet(std::string_view a, std::string_view b) {
    // meets[j]: whether a[i..] and b[j..] meet, from the ends backwards.
    std::vector<bool> meets(b.size() + 1);
    for (std::size_t i = a.size() + 1; i-- > 0;) {
        std::vector<bool> row(b.size() + 1);
        for (std::size_t j = b.size() + 1; j-- > 0;) {
            const bool a_ends = i == a.size();
            const bool b_ends = j == b.size();
            if (a_ends && b_ends)
                row[j] = true;
            else if (!a_ends && a[i] == '*')
                row[j] = meets[j] || (!b_ends && row[j + 1]);
            else if (!b_ends && b[j] == '*')
                row[j] = row[j + 1] || (!a_ends && meets[j]);
            else
                row[j] = !a_ends && !b_ends && a[i] == b[j] && meets[j + 1];
        }
        meets = std::move(row);
    }
    return meets[0];
}

bool covers_temperature(const gateway::CacheRule& earlier, const gateway::CacheRule& later) {
    if (earlier.temperature_equal)
        return later.temperature_equal == earlier.temperature_equal;
    if (!earlier.temperature_above)
        return true;
    if (later.temperature_equal)
        return *later.temperature_equal > *earlier.temperature_above;
    return later.temperature_above && *later.temperature_above >= *earlier.temperature_above;
}

} // namespace

bool matches_some_endpoint(std::string_view pattern) {
    const std::size_t space = pattern.find(' ');
    if (space == std::string_view::npos)
        return false;
    const std::string_view method = pattern.substr(0, space);
    const std::string_view path = pattern.substr(space + 1);
    if (method == "HEAD" || method == "OPTIONS")
        return false;
    const auto meets = [&](std::string_view its_method, std::string_view its_path) {
        return (method == "*" || its_method == "*" || method == its_method) &&
               globs_meet(path, its_path);
    };
    return std::ranges::any_of(api::routes(),
                               [&](const api::Route& route) {
                                   return route.tier != api::Tier::kNone &&
                                          meets(route.method, as_glob(route.path));
                               }) ||
           std::ranges::any_of(kLater, [&](const Endpoint& endpoint) {
               return meets(endpoint.method, endpoint.path);
           });
}

bool covers(const gateway::CacheRule& earlier, const gateway::CacheRule& later) {
    const bool api = earlier.api.empty() || earlier.api == later.api;
    // A star of the later glob stands for any text at all: only a star of the earlier one takes it.
    const std::string_view later_model = later.model.empty() ? "*" : std::string_view(later.model);
    const bool model = earlier.model.empty() || text::matches_glob(earlier.model, later_model);
    const bool tools = !earlier.tools || earlier.tools == later.tools;
    return api && model && tools && covers_temperature(earlier, later);
}

} // namespace larder::app
