// Hides keys in the errors that a stream of events tells, where the stream passes through unread.
// Pure, one thread at a time.
#pragma once

#include "provider/catalog.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace larder::gateway {

/// Takes bytes cut anywhere and gives whole events: those that tell an error without keys, all
/// others byte for byte. One that is larger than `most_held` is given as it comes.
class PassEvents {
public:
    static constexpr std::size_t kMostHeld = 4UL << 20;
    explicit PassEvents(const provider::Provider& provider, std::size_t most_held = kMostHeld)
        : provider_(provider), most_held_(most_held) {}

    /// Leaves in `bytes` what can be sent.
    void feed(std::string& bytes);
    /// What is held back of an event that has not ended.
    [[nodiscard]] const std::string& held() const { return held_; }
    /// The same, to be sent when no more comes.
    std::string finish();

private:
    void show(std::string_view block, std::string& out);

    const provider::Provider& provider_;
    std::size_t most_held_;
    std::string held_;
    std::size_t line_begin_ = 0; // of the last line in `held_`
    bool is_passing_ = false;    // the beginning of this event was given already
};

} // namespace larder::gateway
