// The exchanges that the demo brings along: written for it, in the providers' wire form, and built
// into the program.
#include "base/json.hpp"
#include "replay/exchange_store.hpp"
#include "replay/replay_server.hpp"

#include <algorithm>
#include <array>

namespace larder::replay {
namespace {

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"
constexpr char kExchanges[] = {
#embed "demo_exchanges.jsonl"
};
#pragma clang diagnostic pop

} // namespace

std::string_view demo_exchanges() {
    return {kExchanges, sizeof kExchanges};
}

std::vector<DemoRequest> demo_requests() {
    ExchangeStore store;
    std::vector<DemoRequest> requests;
    if (!store.load(demo_exchanges()))
        return requests;
    for (const Recorded& recorded : store.all()) {
        auto document = json::parse(recorded.generate);
        if (!document)
            continue;
        auto prompt = document->root().find("prompt");
        requests.push_back(
            {.body = recorded.generate, .title = prompt ? prompt->as_string().value_or("") : ""});
    }
    return requests;
}

} // namespace larder::replay
