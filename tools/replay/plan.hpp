// What a request gets, decided before a byte is sent: a recorded answer, a made-up one, or a fault.
// Pure, any thread.
#pragma once

#include "base/json.hpp"
#include "http/message.hpp"
#include "replay/exchange_store.hpp"
#include "replay/fault.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::replay {

/// Where a request was sent to: "/<provider>/…/chat/completions", …/messages, …/responses,
/// …/embeddings; without a provider before "v1", all of them.
struct Place {
    std::string provider;
    protocol::Dialect dialect = protocol::Dialect::kOpenAiChat;
};
std::optional<Place> place_of(std::string_view path);

enum class Source : std::uint8_t { kRecorded, kMadeUp, kFault };

struct Plan {
    /// What happens at a point of the reply.
    enum class Event : std::uint8_t { kNone, kWait, kGate, kHang, kCut };
    Source source = Source::kRecorded;
    int status = 200;
    http::OwnedFields fields;
    std::string body;
    bool stream = false;       // sent event by event
    bool paced = true;         // at the given speed
    bool byte_by_byte = false; // sent slowly, a byte at a time
    Event before = Event::kNone;
    std::chrono::milliseconds wait{0};
    Event middle = Event::kNone; // once half of the body has been sent
};

struct Asked {
    Place place;
    json::Value body;
    const http::Fields* fields = nullptr;
};

/// The fault that a request asks for, by the header x-replay-fault or its model's name (also
/// "provider/fault-…").
std::optional<Fault> fault_of(const Asked& asked);
/// `earlier`: how many calls of the same fault came before this one.
Plan plan_fault(const Fault& fault, const Asked& asked, std::uint64_t earlier);
/// Made-up answers of what is no completion: a list of models, one model, a count of tokens; what
/// any other path of a provider got, as JSON. nullopt for one below no provider.
std::optional<Plan> plan_other(std::string_view method, std::string_view path,
                               std::string_view body);
Plan plan_answer(const ExchangeStore& store, const Asked& asked);
Plan plan_error(protocol::Dialect dialect, int status, std::string_view message);

} // namespace larder::replay
