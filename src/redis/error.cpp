// Errors of a server's texts: known first words with sentences of our own. What else the server
// wrote may hold keys and values, and goes nowhere.
#include "redis/client.hpp"

#include <algorithm>
#include <array>

namespace larder::redis {
namespace {

struct Known {
    std::string_view word;
    std::string_view meaning;
};

constexpr std::array<Known, 25> kKnown{{
    {"ASK", "the slot is being moved"},
    {"BUSY", "a script keeps it busy"},
    {"BUSYGROUP", "the consumer group exists already"},
    {"BUSYKEY", "the key exists already"},
    {"CLUSTERDOWN", "the cluster is down"},
    {"CROSSSLOT", "the keys are in different slots"},
    {"DENIED", "it refuses the connection"},
    {"EXECABORT", "the transaction was discarded"},
    {"LOADING", "it is loading its data"},
    {"MASTERDOWN", "it has lost its master"},
    {"MISCONF", "it can't save its data and refuses writes"},
    {"MOVED", "the slot is elsewhere"},
    {"NOAUTH", "it wants a login"},
    {"NOGOODSLAVE", "there is no replica to take over"},
    {"NOPERM", "its user may not do this"},
    {"NOPROTO", "it doesn't speak this protocol"},
    {"NOREPLICAS", "it has too few replicas for writes"},
    {"NOSCRIPT", "it doesn't know the script"},
    {"OOM", "it is full"},
    {"READONLY", "it is a read-only replica"},
    {"TRYAGAIN", "the keys are being moved"},
    {"UNBLOCKED", "the command was ended by the server"},
    {"UNKILLABLE", "a script keeps it busy"},
    {"WRONGPASS", "it refuses the login"},
    {"WRONGTYPE", "the key holds another type"},
}};

} // namespace

Error error_of(std::string_view server_text) {
    const std::string_view word = server_text.substr(0, server_text.find(' '));
    Error error{.code = ErrorCode::kStore, .message = "Redis: an error", .detail = "ERR"};
    const auto* const found = std::ranges::find(kKnown, word, &Known::word);
    if (found != kKnown.end()) {
        error.message = "Redis: " + std::string(found->meaning);
        error.detail = word;
    }
    return error;
}

} // namespace larder::redis
