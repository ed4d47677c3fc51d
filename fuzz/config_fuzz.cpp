// Fuzzes the configuration: any bytes give a Config or an Error, in bounded time and memory.
#include "app/config.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 64U << 10U)
        return 0;
    const larder::app::Environment environment{
        .variable = [](std::string_view name) -> std::optional<std::string> {
            if (name.size() % 2 == 0)
                return std::nullopt;
            return std::string(name);
        }};
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = larder::app::read_config(text, "fuzz.yaml", environment);
    if (!config && config.error().message.empty())
        __builtin_trap();
    return 0;
}
