// A part of a gather write. Pure.
#pragma once

#include <sys/uio.h>

#include <string_view>

namespace larder::http {

inline iovec part_of(std::string_view bytes) {
    return {const_cast<char*>(bytes.data()), bytes.size()}; // only read
}

} // namespace larder::http
