// What each command of the program does; gives the exit status.
#pragma once

#include <optional>
#include <string>

namespace larder::app {

struct CommandLine {
    std::optional<std::string> config;
    std::optional<std::string> listen;
};

int run_serve(const CommandLine& line);
int run_check(const CommandLine& line);
int run_demo();

} // namespace larder::app
