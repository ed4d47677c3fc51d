// Fuzz target: entries as they stand in a shared store, and the messages of its channel. What is
// taken must be written and read again as the same.
#include "cache/envelope.hpp"
#include "cache/news.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace larder::cache;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (const auto entry = read_envelope(bytes, 1 << 20)) {
        for (const auto kind : {EnvelopeBytes::kBinary, EnvelopeBytes::kText}) {
            const auto again = read_envelope(write_envelope(**entry, kind));
            LARDER_ASSERT(again && encode_entry(**again) == encode_entry(**entry));
            LARDER_ASSERT((*again)->asked_ms == (*entry)->asked_ms);
        }
    }
    if (const auto news = read_news(bytes)) {
        const auto text = std::visit([](const auto& one) { return write_news(one); }, *news);
        const auto again = read_news(text);
        LARDER_ASSERT(again && *again == *news);
    }
    return 0;
}
