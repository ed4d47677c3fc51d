// The servers behind one client, as all threads know them: which one serves which slot, looked up
// again whenever something was not as the map says, and each thread's own connections to them.
// Shared by the client and its tasks under way.
#pragma once

#include "async/runtime.hpp"
#include "async/task.hpp"
#include "base/result.hpp"
#include "redis/backends.hpp"
#include "redis/node.hpp"
#include "redis/slot_map.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

namespace larder::redis {

/// One task on the first thread looks: at once when somebody wants it (not more often than every
/// 100 ms), every second while the servers are not well, else every 30 s.
class Members : public std::enable_shared_from_this<Members> {
public:
    /// `common`: what the nodes of all servers have in common.
    Members(async::Runtime& runtime, RedisSettings settings, NodeSettings common);
    virtual ~Members();
    Members(const Members&) = delete;
    Members& operator=(const Members&) = delete;
    /// Begins to look.
    void start();
    /// Closes every thread's nodes. From outside the runtime, which still runs.
    void stop();

    // Of the calling runtime thread.
    [[nodiscard]] std::shared_ptr<Node> node(const Endpoint& endpoint);
    /// Who serves the slot by the map, else a server that may know. Nothing when none is known.
    [[nodiscard]] std::optional<Endpoint> find(std::optional<std::uint16_t> slot);
    /// The next one that may know is another one.
    void try_others();
    [[nodiscard]] asio::io_context& context();
    /// Waits between a half and the whole of `most`.
    Task<void> pause(std::chrono::microseconds most);

    // Any thread.
    [[nodiscard]] NodeSettings node_settings(const Endpoint& endpoint) const;
    [[nodiscard]] std::shared_ptr<const SlotMap> map() const;
    void move_slot(std::uint16_t slot, const Endpoint& owner);
    void want_look();
    [[nodiscard]] Health health() const;
    [[nodiscard]] bool is_stopped() const { return stopped_; }

protected:
    /// Brings the map up to date and says how the servers are.
    virtual Task<Health> look() = 0;
    /// Servers that may be asked before there is a map.
    [[nodiscard]] virtual std::vector<Endpoint> strangers() const = 0;

    /// Asks a server over a connection that is made for it: the commands' connections and their
    /// breakers have other measures. Within a `look`. Each error reply is an Error.
    Task<Result<std::vector<Reply>>> ask(NodeSettings server, std::vector<Command> commands);
    void set_map(SlotMap map);
    [[nodiscard]] const RedisSettings& settings() const { return settings_; }
    [[nodiscard]] asio::io_context& first_context() const { return runtime_.context(0); }
    [[nodiscard]] std::minstd_rand& random() { return here().random; }

private:
    /// What belongs to one runtime thread.
    struct Here {
        std::map<Endpoint, std::shared_ptr<Node>> nodes; // of the map, and few others
        std::shared_ptr<const SlotMap> map;
        std::uint64_t version = 0; // of `map`
        std::minstd_rand random;
        std::size_t turn = 0; // among those that may know
    };
    struct Rest; // the timer between two looks

    [[nodiscard]] Here& here();
    void take_new_map(Here& here);
    static Task<void> keep_looking(std::shared_ptr<Members> self);
    Task<void> rest(std::chrono::milliseconds longest);
    void set_health(Health health);

    async::Runtime& runtime_;
    const RedisSettings settings_;
    const NodeSettings common_;
    std::vector<Here> threads_;
    std::unique_ptr<Rest> rest_;  // the first thread's
    std::shared_ptr<Node> asked_; // the first thread's, while it looks
    std::atomic<bool> wanted_{false};
    std::atomic<bool> stopped_{false};
    std::atomic<std::uint64_t> version_{0}; // of `map_`: looked at without the mutex
    mutable std::mutex mutex_;
    std::shared_ptr<const SlotMap> map_;
    Health health_{.ok = false, .reason = "no server has answered yet"};
};

} // namespace larder::redis
