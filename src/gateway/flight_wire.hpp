// How a flight ended, as bytes for the nodes that wait for it. Pure, any thread.
#pragma once

#include "gateway/flight.hpp"

#include <string>
#include <string_view>

namespace larder::gateway {

/// What the holder of a lease tells the other nodes at the end.
struct SharedEnd {
    enum class Kind : std::uint8_t {
        kEntry = 0,     // a whole answer
        kRejection = 1, // the provider's error answer: everybody's
        kError = 2,     // the provider failed: everybody's
        kMine = 3,      // the holder's own trouble, or its clients left: another one may lead
        kTooLarge = 4,  // can't be shared: each node asks for itself
    };
    Kind kind = Kind::kMine;
    bool kept = false;       // kEntry: it may be kept in memory
    bool terminated = false; // kEntry: as FlightEnd
    cache::EntryPtr entry;
    int status = 0; // kRejection
    std::string content_type;
    std::string body;
    http::OwnedFields fields; // of the provider's answer
    Error error;              // kError
};

/// What the other nodes are told of `end`. `kept`: whether the entry was.
SharedEnd shared_end(const FlightEnd& end, bool kept);
/// A format byte (1), then length-delimited fields.
std::string encode_end(const SharedEnd& end);
/// kStore when the bytes are none.
Result<SharedEnd> decode_end(std::string_view bytes);

} // namespace larder::gateway
