// What the process's environment says: its variables, and whether the log goes to a terminal.
#include "app/config.hpp"

#include <cstdlib>
#include <unistd.h>

namespace larder::app {

Environment system_environment() {
    return {.variable = [](std::string_view name) -> std::optional<std::string> {
                const char* value = std::getenv(std::string(name).c_str());
                return value == nullptr ? std::nullopt : std::optional<std::string>(value);
            },
            .terminal = ::isatty(STDOUT_FILENO) == 1};
}

} // namespace larder::app
