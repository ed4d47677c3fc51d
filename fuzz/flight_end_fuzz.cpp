// Fuzz target: the end of a flight as another node tells it. What is read must be fit for a reply.
#include "gateway/flight_wire.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto end = larder::gateway::decode_end(bytes);
    if (!end)
        return 0;
    for (const auto& [name, value] : end->fields)
        LARDER_ASSERT(!name.contains('\n') && !value.contains('\n'));
    LARDER_ASSERT((end->kind == larder::gateway::SharedEnd::Kind::kEntry) ==
                  (end->entry != nullptr));
    return 0;
}
