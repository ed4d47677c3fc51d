#include "redis/standalone.hpp"

#include "redis/shared_health.hpp"
#include "redis/subscription.hpp"

#include <boost/asio/post.hpp>

#include <atomic>
#include <future>
#include <vector>

namespace larder::redis {
namespace {

class StandaloneClient final : public Client {
public:
    StandaloneClient(async::Runtime& runtime, NodeSettings settings,
                     std::function<void(const Health&)> on_health)
        : runtime_(runtime), settings_(std::move(settings)),
          health_(runtime.size(), std::move(on_health)) {
        for (std::size_t i = 0; i < runtime.size(); ++i) {
            NodeSettings own = settings_;
            own.on_health = [this, i] { health_.set(i, nodes_[i]->health()); };
            nodes_.push_back(std::make_unique<Node>(runtime.context(i), std::move(own)));
        }
        for (const auto& node : nodes_)
            node->start();
    }
    ~StandaloneClient() override { stop(); }

    Task<Result<Reply>> run(Command command, std::chrono::microseconds within) override {
        co_return co_await node().run_checked(std::move(command), within);
    }

    Task<std::vector<Result<Reply>>> pipeline(std::vector<Command> commands,
                                              std::chrono::microseconds within) override {
        auto outcomes = co_await node().pipeline(std::move(commands), within);
        for (auto& outcome : outcomes) {
            if (outcome && outcome->is_error())
                outcome = std::unexpected(error_of(outcome->text));
        }
        co_return outcomes;
    }

    Task<Result<std::vector<Reply>>> transaction(std::vector<Command> commands,
                                                 std::chrono::microseconds within) override {
        co_return co_await node().transaction(std::move(commands), within);
    }

    std::unique_ptr<Subscription> subscribe(std::string channel,
                                            SubscriptionEvents events) override {
        const std::size_t current = async::Runtime::current();
        SubscriptionSettings subscription{
            .channel = std::move(channel), .events = std::move(events), .locate = {}};
        subscription.locate = [settings = settings_] { return located(settings); };
        return make_subscription(runtime_.context(current < runtime_.size() ? current : 0),
                                 std::move(subscription));
    }

    [[nodiscard]] Command publish_command(std::string_view channel,
                                          std::string_view message) const override {
        Command command("PUBLISH");
        command.arg(channel).arg(message);
        return command;
    }

    [[nodiscard]] Traits traits() const override { return {}; }
    [[nodiscard]] Health health() const override { return health_.get(); }

    void stop() override {
        if (stopped_.exchange(true))
            return;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            std::promise<void> closed;
            asio::post(runtime_.context(i), [&] {
                nodes_[i]->close();
                closed.set_value();
            });
            closed.get_future().wait();
        }
    }

private:
    static Task<Result<NodeSettings>> located(NodeSettings settings) { co_return settings; }

    Node& node() {
        const std::size_t current = async::Runtime::current();
        LARDER_ASSERT(current < nodes_.size());
        return *nodes_[current];
    }

    async::Runtime& runtime_;
    NodeSettings settings_;
    SharedHealth health_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::atomic<bool> stopped_ = false;
};

} // namespace

Result<NodeSettings> node_settings_of(const RedisSettings& settings) {
    NodeSettings node{.endpoint = {},
                      .tls = nullptr,
                      .user = settings.url.user,
                      .password = settings.url.password,
                      .database = settings.url.database,
                      .connections = settings.connections,
                      .connect_timeout = settings.connect_timeout,
                      .request_timeout = settings.request_timeout,
                      .on_health = {}};
    if (!settings.url.endpoints.empty())
        node.endpoint = settings.url.endpoints.front();
    if (settings.url.tls) {
        LARDER_TRY(node.tls, net::TlsContext::make_client());
    }
    return node;
}

Result<std::unique_ptr<Client>> make_standalone_client(async::Runtime& runtime,
                                                       RedisSettings settings) {
    LARDER_TRY(auto node, node_settings_of(settings));
    return std::make_unique<StandaloneClient>(runtime, std::move(node),
                                              std::move(settings.on_health));
}

} // namespace larder::redis
