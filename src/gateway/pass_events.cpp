#include "gateway/pass_events.hpp"

#include "base/json.hpp"
#include "gateway/provider_reply.hpp"
#include "gateway/sse_blocks.hpp"
#include "http/sse.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace larder::gateway {
namespace {

constexpr std::string_view kLineEnds = "\r\n";

bool has_value(const json::Value& object, std::string_view name) {
    const auto value = object.find(name);
    return value && !value->is(json::Kind::kNull);
}

bool has_error(const json::Value& object) {
    return has_value(object, "error") || has_value(object, "last_error");
}

/// Of bytes that the words of an error stand in. What can't be read counts as one.
bool tells_error(const http::SseEvent& event) {
    if (event.name == "error" || event.name.ends_with(".failed"))
        return true;
    const auto document =
        json::parse(event.data, {.depth = 64, .bytes = kLargestError, .nodes = 50'000});
    if (!document)
        return true;
    const json::Value root = document->root();
    const auto type = root.find("type");
    const auto response = root.find("response");
    return has_error(root) || (type && type->as_string() == "error") ||
           (response && has_error(*response));
}

/// Whether it is worth a look; names may be escaped.
bool may_tell_error(std::string_view block) {
    return block.contains("error") || block.contains("\\u") || block.contains(".failed");
}

/// An event without keys, written anew; nullopt: there is nothing to hide.
std::optional<std::string> hidden(const provider::Provider& provider, std::string_view block) {
    if (!may_tell_error(block))
        return std::nullopt;
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    const bool is_whole = decoder.feed(block, events).has_value() &&
                          decoder.feed("\n\n", events).has_value(); // ends one that was cut, too
    if (!is_whole || events.empty() || !tells_error(events.front()))
        return std::nullopt;
    const http::SseEvent& event = events.front();
    if (masked_body(provider, event.data) == event.data && masked(provider, block) == block)
        return std::nullopt;
    return masked_event(provider, event);
}

} // namespace

void PassEvents::show(std::string_view block, std::string& out) {
    if (const bool is_rest = std::exchange(is_passing_, false); is_rest) {
        out += block;
        return;
    }
    if (const auto written = hidden(provider_, block))
        out += *written;
    else
        out += block;
}

void PassEvents::feed(std::string& bytes) {
    const bool may_end = bytes.find_first_of(kLineEnds) != std::string::npos ||
                         held_.ends_with('\r'); // else a long line is not searched again
    held_ += bytes;
    bytes.clear();
    std::size_t begin = 0;
    while (may_end) {
        const std::string_view rest = std::string_view(held_).substr(begin);
        const std::size_t length = sse_block_length(rest, line_begin_);
        if (length == 0)
            break;
        show(rest.substr(0, length), bytes);
        begin += length;
        line_begin_ = 0;
    }
    held_.erase(0, begin);
    if (!is_passing_ && held_.size() <= most_held_)
        return;
    // The last character of a line stays, so that its blank line is still seen.
    const std::size_t kept = held_.find_last_not_of(kLineEnds);
    if (kept == std::string::npos)
        return;
    bytes += std::string_view(held_).substr(0, kept);
    held_.erase(0, kept);
    line_begin_ = 0;
    is_passing_ = true;
}

std::string PassEvents::finish() {
    std::string out;
    show(std::exchange(held_, {}), out);
    line_begin_ = 0;
    return out;
}

} // namespace larder::gateway
