// Where finished log lines go: a buffer for each thread, gathered by one writer thread. Only
// log.cpp and log_writer.cpp include this. Any thread.
#pragma once

#include "base/log.hpp"

#include <string>
#include <string_view>

namespace larder::log::internal {

/// The settings that lines are made by; read without a lock.
[[nodiscard]] Level current_level();
[[nodiscard]] Format current_format();

/// Hands over one whole line with its line feed: to the thread's buffer, or to stderr at once while
/// no writer runs. `at_once`: the writer is woken for it.
void hand_over(std::string_view line, bool at_once);

/// The thread's string for the line being made; null while another line uses it.
std::string* borrow_scratch();
void give_back_scratch();

} // namespace larder::log::internal
