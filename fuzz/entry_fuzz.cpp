// Fuzz target: the byte form of cache entries. What is taken must come out as the same bytes.
#include "cache/entry.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (const auto entry = larder::cache::decode_entry(bytes))
        LARDER_ASSERT(larder::cache::encode_entry(**entry) == bytes);
    return 0;
}
