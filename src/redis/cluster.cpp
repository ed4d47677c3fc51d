#include "redis/cluster.hpp"

#include "redis/members.hpp"
#include "redis/routed_client.hpp"
#include "redis/standalone.hpp"
#include "redis/subscription.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace larder::redis {
namespace {

constexpr std::size_t kMostAsked = 8; // nodes in one look

Command cluster_command(std::string_view what) {
    return Command("CLUSTER").arg(what).idempotent();
}

/// Whether `one` is to be believed rather than `other`.
bool is_newer(const SlotMap& one, const SlotMap& other) {
    if (one.epoch != other.epoch)
        return one.epoch > other.epoch;
    return one.state_ok && !other.state_ok;
}

class ClusterMembers final : public Members {
public:
    using Members::Members;

private:
    Task<Health> look() override;
    [[nodiscard]] std::vector<Endpoint> strangers() const override {
        return settings().url.endpoints;
    }
    Task<Result<SlotMap>> ask_map(Endpoint endpoint);
    [[nodiscard]] std::vector<Endpoint> candidates();
};

std::vector<Endpoint> ClusterMembers::candidates() {
    std::vector<Endpoint> all;
    const auto add = [&all, this](std::vector<Endpoint> more) {
        std::ranges::shuffle(more, random());
        for (Endpoint& each : more) {
            if (std::ranges::find(all, each) == all.end())
                all.push_back(std::move(each));
        }
    };
    if (const auto known = map()) {
        add(known->masters);
        add(known->replicas);
    }
    if (all.size() >= kMostAsked)
        all.resize(kMostAsked - 1); // a seed has its turn too
    add(settings().url.endpoints);
    if (all.size() > kMostAsked)
        all.resize(kMostAsked);
    return all;
}

Task<Result<SlotMap>> ClusterMembers::ask_map(Endpoint endpoint) {
    std::vector<Command> commands;
    commands.push_back(cluster_command("SLOTS"));
    commands.push_back(cluster_command("INFO"));
    auto replies = co_await ask(node_settings(endpoint), std::move(commands));
    if (!replies)
        co_return std::unexpected(std::move(replies).error());
    LARDER_ASSERT(replies->size() == 2);
    co_return read_slot_map(replies->front(), replies->back(), endpoint);
}

/// Asks one node after the other, until one knows of a Cluster that is whole and nothing older than
/// what is known.
Task<Health> ClusterMembers::look() {
    const auto known = map();
    std::optional<SlotMap> best;
    std::string reason = "no node answers";
    for (const Endpoint& endpoint : candidates()) {
        auto answer = co_await ask_map(endpoint);
        if (is_stopped())
            break;
        if (!answer) {
            reason = answer.error().message;
            continue;
        }
        if (!best || is_newer(*answer, *best))
            best = std::move(*answer);
        const bool is_news = known == nullptr || best->epoch >= known->epoch;
        if (is_news && best->state_ok && best->is_whole())
            break;
    }
    if (!best)
        co_return Health{.ok = false, .reason = std::move(reason)};
    const bool well = best->state_ok && best->is_whole();
    if (well || known == nullptr || best->epoch >= known->epoch)
        set_map(*std::move(best));
    co_return well ? Health() : Health{.ok = false, .reason = "some slots are not served"};
}

/// The node of the channel's slot, by a map that is read again for the next time: what ended the
/// connection before may have been a move.
Task<Result<NodeSettings>> locate_channel(std::shared_ptr<Members> members, std::uint16_t slot) {
    const auto map = members->map();
    const Endpoint* owner = map != nullptr ? map->owner(slot) : nullptr;
    members->want_look();
    if (owner == nullptr)
        co_return fail(ErrorCode::kStore, "the channel's slot is not served");
    co_return members->node_settings(*owner);
}

class ClusterClient final : public RoutedClient {
public:
    using RoutedClient::RoutedClient;

    std::unique_ptr<Subscription> subscribe(std::string channel,
                                            SubscriptionEvents events) override {
        SubscriptionSettings settings;
        const std::uint16_t slot = slot_of(channel);
        settings.channel = std::move(channel);
        settings.sharded = true;
        settings.events = std::move(events);
        settings.locate = [members = members(), slot] { return locate_channel(members, slot); };
        return make_subscription(members()->context(), std::move(settings));
    }
    [[nodiscard]] Command publish_command(std::string_view channel,
                                          std::string_view message) const override {
        return Command("SPUBLISH").key(channel).arg(message);
    }
    [[nodiscard]] Traits traits() const override { return {.kind = "redis-cluster"}; }

private:
    [[nodiscard]] bool has_slots() const override { return true; }
};

} // namespace

Result<std::unique_ptr<Client>> make_cluster_client(async::Runtime& runtime,
                                                    RedisSettings settings) {
    settings.url.database = 0; // a Cluster has no other
    LARDER_TRY(auto common, node_settings_of(settings));
    return std::make_unique<ClusterClient>(
        std::make_shared<ClusterMembers>(runtime, std::move(settings), std::move(common)));
}

} // namespace larder::redis
