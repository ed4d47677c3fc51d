#include "redis/members.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <future>
#include <utility>

namespace larder::redis {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Steady, asio::wait_traits<Steady>, Executor>;

constexpr auto kShortestRest = 100ms;
constexpr auto kUnwellRest = 1'000ms;
constexpr auto kWellRest = 30'000ms;
constexpr auto kPatience = 500ms;  // with one server that is asked
constexpr std::size_t kSpare = 64; // nodes of a thread that the map doesn't name

Task<void> wait(Timer& timer) {
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
}

} // namespace

struct Members::Rest {
    explicit Rest(asio::io_context& context) : timer(context.get_executor()) {}
    Timer timer;
    Steady::time_point begin;
};

Members::Members(async::Runtime& runtime, RedisSettings settings, NodeSettings common)
    : runtime_(runtime), settings_(std::move(settings)), common_(std::move(common)),
      threads_(runtime.size()), rest_(std::make_unique<Rest>(runtime.context(0))) {
    std::random_device seed;
    for (Here& thread : threads_)
        thread.random.seed(seed());
}

Members::~Members() = default;

void Members::start() {
    async::spawn("redis members", first_context().get_executor(), keep_looking(shared_from_this()));
}

void Members::stop() {
    if (stopped_.exchange(true))
        return;
    std::vector<std::promise<void>> ended(threads_.size());
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        asio::post(runtime_.context(i), [this, i, &ended] {
            for (const auto& [endpoint, node] : threads_[i].nodes)
                node->close();
            threads_[i].nodes.clear();
            if (i == 0) {
                rest_->timer.cancel();
                if (asked_)
                    asked_->close();
            }
            ended[i].set_value();
        });
    }
    for (auto& each : ended)
        each.get_future().wait();
    std::lock_guard lock(mutex_);
    health_ = {.ok = false, .reason = "it was stopped"};
}

Members::Here& Members::here() {
    const std::size_t index = async::Runtime::current();
    LARDER_ASSERT(index < threads_.size());
    return threads_[index];
}

asio::io_context& Members::context() {
    const std::size_t index = async::Runtime::current();
    return runtime_.context(index < threads_.size() ? index : 0);
}

void Members::take_new_map(Here& here) {
    if (here.version == version_.load(std::memory_order_acquire))
        return;
    {
        std::lock_guard lock(mutex_);
        here.map = map_;
        here.version = version_.load(std::memory_order_relaxed);
    }
    std::erase_if(here.nodes, [&](const auto& each) { return !here.map->has(each.first); });
}

std::shared_ptr<Node> Members::node(const Endpoint& endpoint) {
    Here& thread = here();
    take_new_map(thread);
    if (const auto found = thread.nodes.find(endpoint); found != thread.nodes.end())
        return found->second;
    if (thread.nodes.size() >= kMaxClusterNodes + kSpare)
        thread.nodes.clear();
    auto made = std::make_shared<Node>(context(), node_settings(endpoint));
    if (stopped_)
        made->close();
    else
        thread.nodes.emplace(endpoint, made);
    return made;
}

std::optional<Endpoint> Members::find(std::optional<std::uint16_t> slot) {
    Here& thread = here();
    take_new_map(thread);
    if (thread.map && slot) {
        if (const Endpoint* owner = thread.map->owner(*slot))
            return *owner;
    }
    const auto any_of = [&thread, slot](const std::vector<Endpoint>& servers) {
        // Those of one slot go the same way, in their order.
        const std::size_t turn = slot ? *slot + thread.turn : thread.random();
        return servers[turn % servers.size()];
    };
    if (thread.map && !thread.map->masters.empty())
        return any_of(thread.map->masters);
    const auto others = strangers();
    if (others.empty())
        return std::nullopt;
    return any_of(others);
}

void Members::try_others() {
    ++here().turn;
}

Task<void> Members::pause(std::chrono::microseconds most) {
    const auto half = std::max<std::int64_t>(most.count() / 2, 1);
    const auto jitter = static_cast<std::int64_t>(here().random()) % half;
    Timer timer(context().get_executor());
    timer.expires_after(std::chrono::microseconds(half + jitter));
    co_await wait(timer);
}

NodeSettings Members::node_settings(const Endpoint& endpoint) const {
    NodeSettings made = common_;
    made.endpoint = endpoint;
    return made;
}

std::shared_ptr<const SlotMap> Members::map() const {
    std::lock_guard lock(mutex_);
    return map_;
}

void Members::move_slot(std::uint16_t slot, const Endpoint& owner) {
    std::lock_guard lock(mutex_);
    if (map_ != nullptr) {
        if (const Endpoint* known = map_->owner(slot); known != nullptr && *known == owner)
            return;
    }
    const SlotMap& old = map_ != nullptr ? *map_ : SlotMap();
    map_ = std::make_shared<const SlotMap>(old.with_owner(slot, owner));
    version_.fetch_add(1, std::memory_order_release);
}

void Members::set_map(SlotMap map) {
    std::lock_guard lock(mutex_);
    if (map_ != nullptr && *map_ == map)
        return;
    map_ = std::make_shared<const SlotMap>(std::move(map));
    version_.fetch_add(1, std::memory_order_release);
}

void Members::want_look() {
    if (wanted_.exchange(true) || stopped_)
        return;
    asio::post(first_context(), [self = shared_from_this()] { self->rest_->timer.cancel(); });
}

Health Members::health() const {
    std::lock_guard lock(mutex_);
    return health_;
}

Task<void> Members::keep_looking(std::shared_ptr<Members> self) {
    while (!self->stopped_) {
        self->wanted_ = false;
        auto health = co_await self->look();
        self->rest_->begin = Steady::now();
        const bool well = health.ok;
        self->set_health(std::move(health));
        co_await self->rest(well ? kWellRest : kUnwellRest);
    }
}

Task<Result<std::vector<Reply>>> Members::ask(NodeSettings server, std::vector<Command> commands) {
    server.connections = 1;
    const auto asked = std::make_shared<Node>(first_context(), std::move(server));
    if (stopped_)
        co_return fail(ErrorCode::kStore, "it was stopped");
    asked_ = asked;
    auto outcomes = co_await asked->pipeline(std::move(commands), kPatience);
    asked_ = nullptr;
    std::vector<Reply> replies;
    for (auto& outcome : outcomes) {
        if (outcome && outcome->is_error())
            outcome = std::unexpected(error_of(outcome->text));
        if (!outcome) {
            auto error = std::move(outcome).error();
            if (const Health health = asked->health(); !health.ok && !health.reason.empty())
                error.message = health.reason;
            co_return std::unexpected(std::move(error));
        }
        replies.push_back(*std::move(outcome));
    }
    co_return replies;
}

Task<void> Members::rest(std::chrono::milliseconds longest) {
    // Between a look at `wanted_` and the wait nothing else runs on this thread, so that no
    // cancellation is missed.
    while (!stopped_) {
        const auto until = rest_->begin + (wanted_ ? kShortestRest : longest);
        if (Steady::now() >= until)
            co_return;
        rest_->timer.expires_at(until);
        co_await wait(rest_->timer);
    }
}

void Members::set_health(Health health) {
    {
        std::lock_guard lock(mutex_);
        if (stopped_ || (health.ok == health_.ok && health.reason == health_.reason))
            return;
        health_ = health;
    }
    if (settings_.on_health)
        settings_.on_health(health);
}

} // namespace larder::redis
