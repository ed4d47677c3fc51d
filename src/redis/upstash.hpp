// The client of Upstash's REST API. Commands go as JSON over HTTP, each thread with its own
// connections; what the service is like is known to all threads together.
#pragma once

#include "async/runtime.hpp"
#include "redis/client.hpp"
#include "redis/upstash_lane.hpp"

#include <memory>
#include <vector>

namespace larder::redis {

class UpstashClient final : public Client {
public:
    /// `shared` has everything but what happens. Asks for a first answer in the background.
    UpstashClient(async::Runtime& runtime, std::shared_ptr<upstash::Shared> shared);
    ~UpstashClient() override; // stops

    Task<Result<Reply>> run(Command command, std::chrono::microseconds within) override;
    Task<std::vector<Result<Reply>>> pipeline(std::vector<Command> commands,
                                              std::chrono::microseconds within) override;
    Task<Result<std::vector<Reply>>> transaction(std::vector<Command> commands,
                                                 std::chrono::microseconds within) override;
    std::unique_ptr<Subscription> subscribe(std::string channel,
                                            SubscriptionEvents events) override;
    [[nodiscard]] Command publish_command(std::string_view channel,
                                          std::string_view message) const override;
    [[nodiscard]] Traits traits() const override;
    [[nodiscard]] Health health() const override;
    void stop() override;

protected:
    [[nodiscard]] const Script::Text& text_of(const Script& script) const override;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace larder::redis
