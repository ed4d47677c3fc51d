// Following one channel for as long as its owner wants, over a connection of its own that is made
// anew with back-off, on the server that a locator names each time.
#pragma once

#include "async/task.hpp"
#include "base/result.hpp"
#include "redis/client.hpp"
#include "redis/node.hpp"

#include <functional>
#include <memory>
#include <string>

namespace larder::redis {

struct SubscriptionSettings {
    std::string channel;
    bool sharded = false; // SSUBSCRIBE
    SubscriptionEvents events;
    /// Which server to ask; called on the subscription's thread before each connection. Not called
    /// after the subscription's destructor has returned, but a Task under way may go on.
    std::function<Task<Result<NodeSettings>>()> locate;
};

/// Runs on `context`. A server that says nothing for 1.7 s is given up (PINGs keep it talking). Its
/// destructor: any thread.
std::unique_ptr<Subscription> make_subscription(asio::io_context& context,
                                                SubscriptionSettings settings);

} // namespace larder::redis
