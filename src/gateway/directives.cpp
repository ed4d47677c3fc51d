#include "gateway/directives.hpp"

#include "base/text.hpp"
#include "gateway/compat.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace larder::gateway {
namespace {

constexpr std::size_t kLongestVariant = 128;

void read_cache_control(std::string_view value, Directives& directives) {
    for (const std::string_view part : text::split(value, ',')) {
        const std::size_t equals = part.find('=');
        const std::string_view name = text::trim(part.substr(0, equals));
        if (text::equals_ignoring_case(name, "no-cache"))
            directives.no_cache = true;
        else if (text::equals_ignoring_case(name, "no-store"))
            directives.no_store = true;
        else if (text::equals_ignoring_case(name, "only-if-cached"))
            directives.only_if_cached = true;
        else if (equals != std::string_view::npos && text::equals_ignoring_case(name, "max-age")) {
            std::string_view number = text::trim(part.substr(equals + 1));
            if (number.size() >= 2 && number.starts_with('"') && number.ends_with('"'))
                number = number.substr(1, number.size() - 2);
            if (const auto seconds = seconds_of(number))
                directives.max_age_s = std::min(directives.max_age_s.value_or(*seconds), *seconds);
        }
    }
}

bool is_visible(char c) {
    return c > 0x20 && c < 0x7f;
}

} // namespace

std::optional<std::int64_t> seconds_of(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.starts_with('-') || end != text.data() + text.size())
        return std::nullopt;
    if (error == std::errc::result_out_of_range)
        return kMostSeconds;
    if (error != std::errc())
        return std::nullopt;
    return std::min(number, kMostSeconds);
}

Result<Directives> read_directives(const http::Fields& fields, std::chrono::milliseconds ttl_max,
                                   const CompatConfig& compat) {
    Directives directives;
    for (const http::Field& field : fields) {
        if (text::equals_ignoring_case(field.name, "cache-control")) {
            read_cache_control(field.value, directives);
        } else if (text::equals_ignoring_case(field.name, "x-larder-ttl")) {
            const auto seconds = seconds_of(field.value);
            if (!seconds || directives.ttl)
                return fail_field("x-larder-ttl",
                                  "x-larder-ttl is a whole number of seconds, given once");
            if (*seconds * 1000 > ttl_max.count()) {
                return fail_field("x-larder-ttl", "x-larder-ttl is at most " +
                                                      std::to_string(ttl_max.count() / 1000) +
                                                      " (cache.ttl_max)");
            }
            directives.ttl = std::chrono::seconds(*seconds);
        } else if (text::equals_ignoring_case(field.name, "x-larder-variant")) {
            const bool fits = !field.value.empty() && field.value.size() <= kLongestVariant &&
                              std::ranges::all_of(field.value, is_visible);
            if (!fits || !directives.variant.empty()) {
                return fail_field("x-larder-variant", "x-larder-variant is 1 to " +
                                                          std::to_string(kLongestVariant) +
                                                          " visible ASCII characters, given once");
            }
            directives.variant = field.value;
        }
    }
    LARDER_CHECK(read_compat_fields(fields, ttl_max, compat, directives));
    return directives;
}

} // namespace larder::gateway
