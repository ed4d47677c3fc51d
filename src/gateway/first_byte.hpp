// The bound that a route sets to a first byte: exact to the millisecond, where deadlines of sockets
// may be 100 ms late. On one thread.
#pragma once

#include "async/task.hpp"
#include "gateway/flight.hpp"

#include <boost/asio/basic_waitable_timer.hpp>

#include <chrono>
#include <memory>
#include <optional>

namespace larder::gateway {

class FirstByteBound {
public:
    /// Notifies `follower` after `bound`; without one it does nothing.
    FirstByteBound(Executor executor, std::shared_ptr<Flight::Follower> follower,
                   std::optional<std::chrono::milliseconds> bound) {
        if (!bound)
            return;
        timer_.emplace(executor, *bound);
        timer_->async_wait([passed = passed_, follower](const boost::system::error_code& error) {
            if (error)
                return;
            *passed = true;
            follower->signal.notify();
        });
    }
    /// The first byte is there.
    void lift() { timer_.reset(); }
    [[nodiscard]] bool has_passed() const { return timer_.has_value() && *passed_; }

private:
    using Timer =
        asio::basic_waitable_timer<std::chrono::steady_clock,
                                   asio::wait_traits<std::chrono::steady_clock>, Executor>;
    std::shared_ptr<bool> passed_ = std::make_shared<bool>(false);
    std::optional<Timer> timer_;
};

} // namespace larder::gateway
