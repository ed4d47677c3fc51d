// Leaves a flight however the coroutine of its follower ends. On one thread.
#pragma once

#include "gateway/gateway.hpp"

#include <utility>

namespace larder::gateway {

class Leaving {
public:
    explicit Leaving(const Gateway::Joined& joined) : joined_(joined) {}
    ~Leaving() { now(); }
    Leaving(const Leaving&) = delete;
    Leaving& operator=(const Leaving&) = delete;
    /// `gives_up`: a route has no more patience, see `Flight::leave`.
    void now(bool gives_up = false) {
        if (!std::exchange(done_, true))
            joined_.flight->leave(joined_.follower, gives_up);
    }

private:
    const Gateway::Joined& joined_;
    bool done_ = false;
};

} // namespace larder::gateway
