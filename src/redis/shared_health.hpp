// The health of a client out of that of its parts on all threads: it is well when all of them are.
// Any thread.
#pragma once

#include "redis/client.hpp"

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace larder::redis {

class SharedHealth {
public:
    /// `on_change` is called once for each change, in order, on the thread that brought it.
    SharedHealth(std::size_t parts, std::function<void(const Health&)> on_change)
        : parts_(parts, Health{.ok = false, .reason = "it is not connected yet"}),
          told_(parts_.front()), on_change_(std::move(on_change)) {}

    void set(std::size_t part, Health health) {
        const std::lock_guard in_order(telling_);
        Health now;
        {
            const std::lock_guard lock(mutex_);
            parts_[part] = std::move(health);
            now = combined();
            if (now.ok == told_.ok && now.reason == told_.reason)
                return;
            told_ = now;
        }
        if (on_change_)
            on_change_(now);
    }

    [[nodiscard]] Health get() const {
        const std::lock_guard lock(mutex_);
        return told_;
    }

private:
    [[nodiscard]] Health combined() const {
        for (const Health& part : parts_) {
            if (!part.ok)
                return part;
        }
        return {};
    }

    std::mutex telling_;
    mutable std::mutex mutex_;
    std::vector<Health> parts_;
    Health told_;
    std::function<void(const Health&)> on_change_;
};

} // namespace larder::redis
