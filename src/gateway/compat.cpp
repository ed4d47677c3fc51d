// What each of the other gateways' switches means here; docs/migrating.md has it as tables.
#include "gateway/compat.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace larder::gateway {
namespace {

constexpr std::size_t kLongestPart = 256;
constexpr std::int64_t kMostBuckets = 20; // as Helicone's

Result<bool> read_switch(const http::Field& field) {
    if (text::equals_ignoring_case(field.value, "true"))
        return true;
    if (text::equals_ignoring_case(field.value, "false"))
        return false;
    return fail_field(text::lower(field.name),
                      text::lower(field.name) + " is either true or false");
}

void shorten_ttl(Directives& directives, std::int64_t seconds, std::chrono::milliseconds ttl_max) {
    const auto most = std::chrono::duration_cast<std::chrono::seconds>(ttl_max);
    const auto asked = std::min(std::chrono::seconds(seconds), most);
    directives.ttl = std::min(directives.ttl.value_or(asked), asked);
}

/// One more part of the key under the header's own name, which no other header has.
Result<void> add_part(const http::Field& field, std::string_view name, Directives& directives) {
    const bool fits =
        !field.value.empty() && field.value.size() <= kLongestPart &&
        std::ranges::all_of(field.value, [](char c) { return c >= 0x20 && c < 0x7f; });
    const bool again = std::ranges::any_of(directives.key_parts,
                                           [&](const KeyPart& part) { return part.name == name; });
    if (!fits || again) {
        return fail_field(std::string(name), std::string(name) + " is 1 to " +
                                                 std::to_string(kLongestPart) +
                                                 " ASCII characters, given once");
    }
    directives.key_parts.push_back({name, std::string(field.value)});
    return {};
}

Result<void> read_portkey(const http::Field& field, Directives& directives) {
    constexpr std::string_view kNamespace = "x-portkey-cache-namespace";
    if (text::equals_ignoring_case(field.name, kNamespace))
        return add_part(field, kNamespace, directives);
    if (text::equals_ignoring_case(field.name, "x-portkey-cache-force-refresh")) {
        LARDER_TRY(const bool refreshes, read_switch(field));
        directives.no_cache = directives.no_cache || refreshes;
    }
    return {};
}

Result<void> read_helicone(const http::Field& field, Directives& directives) {
    constexpr std::string_view kSeed = "helicone-cache-seed";
    constexpr std::string_view kBuckets = "helicone-cache-bucket-max-size";
    if (text::equals_ignoring_case(field.name, kSeed))
        return add_part(field, kSeed, directives);
    if (text::equals_ignoring_case(field.name, "helicone-cache-enabled")) {
        LARDER_TRY(const bool enabled, read_switch(field));
        directives.no_store = directives.no_store || !enabled;
    } else if (text::equals_ignoring_case(field.name, kBuckets)) {
        const auto buckets = seconds_of(field.value); // a number like any other
        if (!buckets || *buckets < 1 || *buckets > kMostBuckets || directives.buckets != 0) {
            return fail_field(std::string(kBuckets),
                              std::string(kBuckets) + " is a whole number from 1 to " +
                                  std::to_string(kMostBuckets) + ", given once");
        }
        directives.buckets = static_cast<std::uint32_t>(*buckets);
    }
    return {};
}

Result<void> read_cloudflare(const http::Field& field, std::chrono::milliseconds ttl_max,
                             Directives& directives) {
    constexpr std::string_view kTtl = "cf-aig-cache-ttl";
    if (text::equals_ignoring_case(field.name, "cf-aig-skip-cache")) {
        LARDER_TRY(const bool skips, read_switch(field));
        directives.no_cache = directives.no_cache || skips;
    } else if (text::equals_ignoring_case(field.name, kTtl)) {
        const auto seconds = seconds_of(field.value);
        if (!seconds)
            return fail_field(std::string(kTtl), std::string(kTtl) + " is whole seconds");
        shorten_ttl(directives, *seconds, ttl_max);
    }
    return {};
}

std::unexpected<Error> wrong_member(std::string_view name, std::string_view expected) {
    const std::string field = "cache." + std::string(name);
    return fail_field(field, "`" + field + "` must be " + std::string(expected));
}

Result<void> read_litellm_switch(std::string_view name, json::Value value, Directives& directives) {
    const auto on = value.as_bool();
    if (!on)
        return wrong_member(name, "true or false");
    if (name == "no-cache")
        directives.no_cache = directives.no_cache || *on;
    else if (name == "no-store")
        directives.no_store = directives.no_store || *on;
    else // use-cache
        directives.no_store = directives.no_store || !*on;
    return {};
}

Result<void> read_litellm_seconds(std::string_view name, json::Value value,
                                  std::chrono::milliseconds ttl_max, Directives& directives) {
    auto seconds = value.is(json::Kind::kNumber) ? value.as_int() : std::optional<std::int64_t>();
    if (!seconds || *seconds < 0)
        return wrong_member(name, "a whole number of seconds, 0 or more");
    seconds = std::min(*seconds, kMostSeconds);
    if (name == "ttl")
        shorten_ttl(directives, *seconds, ttl_max);
    else
        directives.max_age_s = std::min(directives.max_age_s.value_or(*seconds), *seconds);
    return {};
}

Result<void> read_litellm_member(std::string_view name, json::Value value,
                                 std::chrono::milliseconds ttl_max, Directives& directives) {
    constexpr std::string_view kNamespace = "litellm-cache-namespace";
    if (name == "ttl" || name == "s-maxage" || name == "s-max-age") {
        return value.is(json::Kind::kNull) ? Result<void>()
                                           : read_litellm_seconds(name, value, ttl_max, directives);
    }
    if (name == "no-cache" || name == "no-store" || name == "use-cache") {
        return value.is(json::Kind::kNull) ? Result<void>()
                                           : read_litellm_switch(name, value, directives);
    }
    if (name != "namespace") {
        return fail_field("cache." + std::string(name.substr(0, kLongestPart)),
                          "`cache` takes ttl, s-maxage, no-cache, no-store, use-cache and "
                          "namespace");
    }
    if (value.is(json::Kind::kNull))
        return {};
    auto given = value.as_string();
    if (!given || given->empty() || given->size() > kLongestPart)
        return wrong_member(name, "a string of 1 to " + std::to_string(kLongestPart) + " bytes");
    directives.key_parts.push_back({kNamespace, *std::move(given)});
    return {};
}

/// The bytes without the member at `begin` to `end`, and without one of the commas around it.
std::string without(std::string_view text, std::size_t begin, std::size_t end) {
    const std::size_t after = text.find_first_not_of(" \t\r\n", end);
    if (after != std::string_view::npos && text[after] == ',') {
        end = after + 1;
    } else {
        const std::size_t before = text.find_last_not_of(" \t\r\n", begin - 1);
        if (before != std::string_view::npos && text[before] == ',')
            begin = before;
    }
    std::string rest(text.substr(0, begin));
    rest += text.substr(end);
    return rest;
}

} // namespace

Result<void> read_compat_fields(const http::Fields& fields, std::chrono::milliseconds ttl_max,
                                const CompatConfig& compat, Directives& directives) {
    if (!compat.portkey && !compat.helicone && !compat.cloudflare)
        return {};
    for (const http::Field& field : fields) {
        if (compat.portkey)
            LARDER_CHECK(read_portkey(field, directives));
        if (compat.helicone)
            LARDER_CHECK(read_helicone(field, directives));
        if (compat.cloudflare)
            LARDER_CHECK(read_cloudflare(field, ttl_max, directives));
    }
    std::ranges::sort(directives.key_parts, {}, &KeyPart::name); // the order of headers is free
    return {};
}

Result<std::optional<std::string>> take_litellm_cache(const json::Document& body,
                                                      std::chrono::milliseconds ttl_max,
                                                      Directives& directives) {
    const auto cache = body.root().find("cache");
    if (!cache)
        return std::nullopt;
    if (!cache->is(json::Kind::kObject) && !cache->is(json::Kind::kNull))
        return fail_field("cache", "`cache` must be an object");
    Result<void> read;
    cache->for_each_member([&](std::string_view name, json::Value value) {
        read = read_litellm_member(name, value, ttl_max, directives);
        return read.has_value();
    });
    if (!read)
        return std::unexpected(std::move(read).error());
    // A member's name is the node before its value's.
    return without(body.text(), body.node(cache->index() - 1).begin, cache->end());
}

void add_compat_lines(std::string& lines, const CompatConfig& compat, Outcome outcome,
                      bool refreshes) {
    const bool is_bypass = outcome == Outcome::kBypass;
    const bool is_hit = !is_bypass && outcome != Outcome::kMiss;
    const std::string_view status = is_hit ? "HIT\r\n" : "MISS\r\n";
    if (compat.portkey) {
        lines += "x-portkey-cache-status: ";
        lines += is_bypass ? "DISABLED\r\n" : refreshes && !is_hit ? "REFRESH\r\n" : status;
    }
    if (compat.helicone && !is_bypass)
        (lines += "Helicone-Cache: ") += status;
    if (compat.cloudflare && !is_bypass)
        (lines += "cf-aig-cache-status: ") += status;
}

} // namespace larder::gateway
