// A gateway with nothing behind it, for tests of what it does before it asks anybody.
#pragma once

#include "gateway/gateway.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace larder::testing {

struct GatewayTest : ::testing::Test {
    async::Runtime runtime{1};
    ManualClock clock;
    cache::MemoryStore memory{1 << 20};
    gateway::PurgeTable purges;
    gateway::FillEpochs epochs;
    ledger::Ledger ledger{nullptr};
    MemoryBudget budget{1 << 20};
    gateway::Gateway gateway{{.runtime = runtime,
                              .clock = clock,
                              .memory = memory,
                              .purges = purges,
                              .epochs = epochs,
                              .ledger = ledger,
                              .budget = budget,
                              .proxy = {}}};
    std::shared_ptr<gateway::Settings> settings = std::make_shared<gateway::Settings>();
};

} // namespace larder::testing
