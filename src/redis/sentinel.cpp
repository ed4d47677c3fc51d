#include "redis/sentinel.hpp"

#include "redis/members.hpp"
#include "redis/routed_client.hpp"
#include "redis/sentinel_replies.hpp"
#include "redis/standalone.hpp"
#include "redis/subscription.hpp"

#include <utility>

namespace larder::redis {
namespace {

class SentinelMembers final : public Members {
public:
    using Members::Members;

    /// The Sentinel that answered last, or the next one when it no longer does.
    [[nodiscard]] NodeSettings sentinel() const { return sentinel_settings(first_); }
    /// After a connection to it has ended.
    void try_next() { first_ = (first_ + 1) % settings().url.endpoints.size(); }
    [[nodiscard]] std::string_view master_name() const { return settings().url.master_name; }

private:
    Task<Health> look() override;
    [[nodiscard]] std::vector<Endpoint> strangers() const override { return {}; }
    [[nodiscard]] NodeSettings sentinel_settings(std::size_t index) const;
    Task<Result<Endpoint>> ask_sentinel(std::size_t index);
    Task<Result<void>> verify(Endpoint master);

    std::size_t first_ = 0; // of the Sentinels; the first thread's
};

NodeSettings SentinelMembers::sentinel_settings(std::size_t index) const {
    const Url& url = settings().url;
    NodeSettings made = node_settings(url.endpoints[index]);
    made.user = url.sentinel_user;
    made.password = url.sentinel_password;
    made.database = 0;
    return made;
}

Task<Result<Endpoint>> SentinelMembers::ask_sentinel(std::size_t index) {
    std::vector<Command> commands;
    commands.push_back(
        Command("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master_name()).idempotent());
    const auto replies = co_await ask(sentinel_settings(index), std::move(commands));
    if (!replies)
        co_return std::unexpected(replies.error());
    co_return read_master_address(replies->front());
}

/// A Sentinel may not have heard yet that its master is none any more.
Task<Result<void>> SentinelMembers::verify(Endpoint master) {
    std::vector<Command> commands;
    commands.push_back(Command("ROLE").idempotent());
    const auto replies = co_await ask(node_settings(master), std::move(commands));
    if (!replies)
        co_return std::unexpected(replies.error());
    if (!is_master(replies->front()))
        co_return fail(ErrorCode::kStore, "the server that the Sentinels name is no master");
    co_return Result<void>();
}

/// Asks one Sentinel after the other until one names a server that says itself that it is a master.
Task<Health> SentinelMembers::look() {
    std::string reason = "no Sentinel answers";
    const std::size_t count = settings().url.endpoints.size();
    const std::size_t first = first_;
    for (std::size_t i = 0; i < count && !is_stopped(); ++i) {
        const std::size_t index = (first + i) % count;
        auto master = co_await ask_sentinel(index);
        if (!master) {
            reason = "a Sentinel: " + master.error().message;
            continue;
        }
        first_ = index;
        if (auto verified = co_await verify(*master); !verified) {
            reason = "the master: " + verified.error().message;
            continue;
        }
        set_map({.masters = {*master}});
        co_return Health();
    }
    // Without its Sentinels a master is still one.
    if (const auto known = map(); known != nullptr && !known->masters.empty()) {
        if (co_await verify(known->masters.front()))
            co_return Health();
    }
    co_return Health{.ok = false, .reason = std::move(reason)};
}

Task<Result<NodeSettings>> locate_sentinel(std::shared_ptr<SentinelMembers> members) {
    auto sentinel = members->sentinel();
    members->try_next(); // the time after
    members->want_look();
    co_return sentinel;
}

/// A lost connection may be a lost master.
Task<Result<NodeSettings>> locate_master(std::shared_ptr<Members> members) {
    members->want_look();
    const auto map = members->map();
    if (map == nullptr || map->masters.empty())
        co_return fail(ErrorCode::kStore, "the master is not known");
    co_return members->node_settings(map->masters.front());
}

class SentinelClient final : public RoutedClient {
public:
    SentinelClient(asio::io_context& first, std::shared_ptr<SentinelMembers> members)
        : RoutedClient(members) {
        SubscriptionSettings settings;
        settings.channel = "+switch-master";
        settings.events.on_message = [members](std::string_view message) {
            if (is_switch_of(message, members->master_name()))
                members->want_look();
        };
        settings.events.on_state = [members](bool) { members->want_look(); };
        settings.locate = [members] { return locate_sentinel(members); };
        switches_ = make_subscription(first, std::move(settings));
    }

    std::unique_ptr<Subscription> subscribe(std::string channel,
                                            SubscriptionEvents events) override {
        SubscriptionSettings settings;
        settings.channel = std::move(channel);
        settings.events = std::move(events);
        settings.locate = [members = members()] { return locate_master(members); };
        return make_subscription(members()->context(), std::move(settings));
    }
    [[nodiscard]] Command publish_command(std::string_view channel,
                                          std::string_view message) const override {
        return Command("PUBLISH").arg(channel).arg(message);
    }
    [[nodiscard]] Traits traits() const override { return {.kind = "redis-sentinel"}; }
    void stop() override {
        switches_.reset();
        RoutedClient::stop();
    }

private:
    [[nodiscard]] bool has_slots() const override { return false; }

    std::unique_ptr<Subscription> switches_;
};

} // namespace

Result<std::unique_ptr<Client>> make_sentinel_client(async::Runtime& runtime,
                                                     RedisSettings settings) {
    LARDER_TRY(auto common, node_settings_of(settings));
    auto members =
        std::make_shared<SentinelMembers>(runtime, std::move(settings), std::move(common));
    return std::make_unique<SentinelClient>(runtime.context(0), std::move(members));
}

} // namespace larder::redis
