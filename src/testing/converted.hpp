// Streams in tests of the room convert: written from chunks or events, converted, and put together
// again as the plain answer that a client is shown.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "convert/convert.hpp"
#include "http/sse.hpp"
#include "protocol/protocol.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace larder::testing {

/// The two dialects of a conversion.
struct Edge {
    protocol::Dialect from;
    protocol::Dialect to;
};
inline constexpr Edge kChatToMessages{protocol::Dialect::kOpenAiChat,
                                      protocol::Dialect::kAnthropicMessages};
inline constexpr Edge kMessagesToChat{protocol::Dialect::kAnthropicMessages,
                                      protocol::Dialect::kOpenAiChat};

inline std::vector<http::SseEvent> events_of(std::string_view body) {
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    if (!decoder.feed(body, events))
        events.clear();
    return events;
}

/// Events without names, each with one of `datas`.
inline std::string stream_of(std::initializer_list<std::string_view> datas) {
    std::string out;
    for (const std::string_view data : datas)
        http::write_sse(out, {}, data);
    return out;
}

/// A chunk of the first choice: `delta`, and members that stand beside it.
inline std::string chunk(std::string_view delta, std::string_view more = {}) {
    std::string out = R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,)";
    out.append(R"("model":"m","choices":[{"index":0,"delta":)").append(delta);
    return out.append(more).append("}]}");
}

inline Result<std::string> convert_stream(Edge edge, std::string_view body,
                                          bool include_usage = true) {
    const auto converter = convert::make_stream_converter(edge.from, edge.to, include_usage);
    std::string out;
    for (const http::SseEvent& event : events_of(body))
        LARDER_CHECK(converter->convert(event, out));
    converter->finish(out);
    return out;
}

/// The plain answer that a stream makes up; kInternal where it has no end.
inline Result<std::string> accumulate(protocol::Dialect dialect, std::string_view body) {
    const auto reader = protocol::make_stream_reader(dialect);
    for (const http::SseEvent& event : events_of(body))
        LARDER_CHECK(reader->read(event));
    reader->finish_at_eof();
    if (!reader->answer().ended)
        return fail(ErrorCode::kInternal, "the stream has no end");
    return reader->to_plain();
}

/// What a client is shown of a converted live stream, or the Error's message.
inline std::string shown_live(Edge edge, std::string_view body) {
    const auto live = convert_stream(edge, body);
    if (!live)
        return live.error().message;
    const auto plain = accumulate(edge.to, *live);
    return plain ? *plain : plain.error().message;
}

/// What it is shown of the same stream's replay, or the Error's message.
inline std::string shown_replayed(Edge edge, std::string_view body) {
    const auto source = accumulate(edge.from, body);
    if (!source)
        return source.error().message;
    const auto plain = convert::write_answer(edge.from, *source, edge.to);
    return plain ? *plain : plain.error().message;
}

/// Equal for equal JSON values; text that is no JSON stays as it is.
inline std::string canonical(std::string_view body) {
    const auto document = json::parse(body);
    if (!document)
        return std::string(body);
    std::string out;
    json::write_canonical(out, document->root());
    return out;
}

} // namespace larder::testing
