// What nodes tell each other over the channel: short texts, fields separated by one space, a name
// last. Hostile texts are no news. Pure, any thread.
#pragma once

#include "cache/purges.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace larder::cache {

/// `o <key> <asked_ms>`: an answer was put that was asked for then, maybe in an older one's place.
struct OverwriteNews {
    llm::Fingerprint key{};
    std::int64_t asked_ms = 0;
    bool operator==(const OverwriteNews&) const = default;
};

/// Of a flight, named by the fencing token of its lease.
struct FlightNews {
    enum class Kind : char {
        kWanted = 'w', // somebody waits for the holder's events
        kLeft = 'l',   // somebody does not any more
        kPieces = 'n', // there are new pieces, or the end
        kDone = 'd',   // the lease has ended: look again
    };
    Kind kind = Kind::kWanted;
    std::string token;
    bool operator==(const FlightNews&) const = default;
};

/// `p <kind> <generation> <name>` is a Purge.
using News = std::variant<Purge, OverwriteNews, FlightNews>;

std::string write_news(const Purge& purge);
std::string write_news(const OverwriteNews& overwrite);
std::string write_news(const FlightNews& flight);
/// Nothing when it is none: an unknown kind comes from a later version.
std::optional<News> read_news(std::string_view text);

/// The letter of a purge's kind, in messages and in the hash of the purges.
char letter_of(PurgeKind kind);
std::optional<PurgeKind> kind_of(char letter);
/// A decimal number and nothing else.
std::optional<std::uint64_t> read_number(std::string_view text);
/// Whether this may be a fencing token: short, of hexadecimal digits and a dot.
bool is_token(std::string_view text);

} // namespace larder::cache
