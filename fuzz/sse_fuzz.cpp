// Fuzzes the event decoder: whatever comes and wherever it is cut, the events are the same.
#include "http/sse.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using larder::http::SseDecoder;
    using larder::http::SseEvent;
    if (size == 0)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t cut = text.size() * data[0] / 255;

    SseDecoder whole;
    std::vector<SseEvent> expected;
    LARDER_ASSERT(whole.feed(text, expected));

    SseDecoder halves;
    std::vector<SseEvent> events;
    LARDER_ASSERT(halves.feed(text.substr(0, cut), events));
    LARDER_ASSERT(halves.feed(text.substr(cut), events));

    LARDER_ASSERT(events.size() == expected.size());
    for (std::size_t i = 0; i < events.size(); ++i)
        LARDER_ASSERT(events[i].name == expected[i].name && events[i].data == expected[i].data);
    LARDER_ASSERT(whole.at_boundary() == halves.at_boundary());
    return 0;
}
