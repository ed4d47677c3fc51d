// Fuzzes the converters of answers: whatever a provider sends, as a stream or whole, and wherever
// it is cut, it is refused or becomes whole events of JSON and a plain answer of the client's API.
#include "convert/convert.hpp"

#include "base/json.hpp"
#include "http/sse.hpp"
#include "protocol/protocol.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using larder::http::SseEvent;
using larder::protocol::Dialect;

std::vector<SseEvent> events_of(std::string_view body) {
    larder::http::SseDecoder decoder;
    std::vector<SseEvent> events;
    LARDER_ASSERT(decoder.feed(body, events));
    return events;
}

void check_stream(Dialect from, Dialect to, const std::vector<SseEvent>& events) {
    const auto converter = larder::convert::make_stream_converter(from, to, true);
    std::string out;
    for (const SseEvent& event : events) {
        if (!converter->convert(event, out))
            return;
    }
    converter->finish(out);
    for (const SseEvent& event : events_of(out))
        LARDER_ASSERT(event.data == "[DONE]" || larder::json::parse(event.data));
}

void check_plain(Dialect from, Dialect to, std::string_view body) {
    const auto plain = larder::convert::write_answer(from, body, to);
    if (!plain)
        return;
    LARDER_ASSERT(larder::json::parse(*plain));
    LARDER_ASSERT(larder::protocol::plain_to_stream(to, *plain, true));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    const std::vector<SseEvent> events = events_of(body);
    for (const Dialect from :
         {Dialect::kOpenAiChat, Dialect::kAnthropicMessages, Dialect::kGemini}) {
        const auto reader = larder::protocol::make_stream_reader(from);
        bool is_read = true;
        for (const SseEvent& event : events)
            is_read = is_read && reader->read(event);
        reader->finish_at_eof();
        for (const Dialect to : {Dialect::kOpenAiChat, Dialect::kAnthropicMessages}) {
            check_stream(from, to, events);
            check_plain(from, to, body);
            if (is_read && reader->answer().ended)
                check_plain(from, to, reader->to_plain());
        }
    }
    return 0;
}
