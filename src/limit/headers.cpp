// Writes the lines straight into the caller's buffer: this runs on every reply.
#include "limit/headers.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace larder::limit {

namespace {

constexpr std::size_t kNumberBytes = 20;

char* put(char* at, std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    return at + text.size();
}

char* put(char* at, std::int64_t value) {
    return std::to_chars(at, at + kNumberBytes, value).ptr;
}

std::int64_t seconds_up(std::int64_t ms) {
    return ms <= 0 ? 0 : ms / 1000 + (ms % 1000 == 0 ? 0 : 1);
}

/// 0 for what is past, whatever the numbers.
std::int64_t ms_until(std::int64_t then_ms, std::int64_t now_ms) {
    return then_ms <= now_ms ? 0 : then_ms - std::max<std::int64_t>(now_ms, 0);
}

char* put_lines(char* at, const Rule& rule, const Decision& decision, std::int64_t now_ms) {
    at = put(at, "X-RateLimit-Limit: ");
    at = put(at, decision.limit);
    at = put(at, "\r\nX-RateLimit-Remaining: ");
    at = put(at, decision.remaining);
    at = put(at, "\r\nX-RateLimit-Reset: ");
    at = put(at, decision.reset_epoch_ms);
    at = put(at, "\r\nRateLimit-Policy: \"");
    at = put(at, rule.name);
    at = put(at, "\";q=");
    at = put(at, decision.limit);
    at = put(at, ";w=");
    at = put(at, std::max<std::int64_t>(seconds_up(rule.window.count()), 1));
    at = put(at, "\r\nRateLimit: \"");
    at = put(at, rule.name);
    at = put(at, "\";r=");
    at = put(at, decision.remaining);
    at = put(at, ";t=");
    // The draft's section on Retry-After: it must not be earlier than t, so a refusal has one time.
    at = put(at, decision.allowed ? seconds_up(ms_until(decision.reset_epoch_ms, now_ms))
                                  : retry_after_seconds(decision));
    at = put(at, "\r\n");
    if (decision.allowed)
        return at;
    at = put(at, "Retry-After: ");
    at = put(at, retry_after_seconds(decision));
    at = put(at, "\r\nretry-after-ms: "); // more exact: what the official SDKs look at first
    at = put(at, std::max<std::int64_t>(decision.retry_after_ms, 1));
    return put(at, "\r\n");
}

} // namespace

std::int64_t retry_after_seconds(const Decision& decision) {
    return std::max<std::int64_t>(seconds_up(decision.retry_after_ms), 1);
}

void write_rate_headers(std::string& out, const Rule& rule, const Decision& decision,
                        std::int64_t now_ms) {
    if (decision.limit <= 0)
        return;
    constexpr std::size_t kFixedBytes = 192 + 9 * kNumberBytes;
    const std::size_t before = out.size();
    out.resize_and_overwrite(before + kFixedBytes + 2 * rule.name.size(),
                             [&](char* text, std::size_t) {
                                 const char* end = put_lines(text + before, rule, decision, now_ms);
                                 return static_cast<std::size_t>(end - text);
                             });
}

} // namespace larder::limit
