// What a Cluster's and Sentinel's client have in common: each command goes to the server that the
// members name, and once more where another one has taken over.
#pragma once

#include "redis/client.hpp"
#include "redis/members.hpp"

#include <memory>
#include <string>
#include <vector>

namespace larder::redis {

class RoutedClient : public Client {
public:
    explicit RoutedClient(std::shared_ptr<Members> members);
    ~RoutedClient() override;

    Task<Result<Reply>> run(Command command, std::chrono::microseconds within) override;
    Task<std::vector<Result<Reply>>> pipeline(std::vector<Command> commands,
                                              std::chrono::microseconds within) override;
    Task<Result<std::vector<Reply>>> transaction(std::vector<Command> commands,
                                                 std::chrono::microseconds within) override;
    [[nodiscard]] Health health() const override { return members_->health(); }
    void stop() override { members_->stop(); }

protected:
    [[nodiscard]] const std::shared_ptr<Members>& members() const { return members_; }
    /// Whether the keys of a transaction must be in one slot.
    [[nodiscard]] virtual bool has_slots() const = 0;

private:
    std::shared_ptr<Members> members_;
};

} // namespace larder::redis
