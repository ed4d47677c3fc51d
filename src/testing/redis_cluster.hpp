// A Redis Cluster of a test: three masters with a replica each. Blocking; started from the main
// thread.
#pragma once

#include "redis/slots.hpp"
#include "testing/redis_ask.hpp"
#include "testing/redis_server.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

namespace larder::testing {

class RedisCluster {
public:
    static constexpr std::size_t kMasters = 3;
    static constexpr std::size_t kNodes = 2 * kMasters;
    static constexpr std::size_t kNone = ~std::size_t{0};

    /// Returns when every node says that all is well. `more`: of every node's command line.
    explicit RedisCluster(const std::vector<std::string>& more = {}) {
        for (std::size_t i = 0; i < kNodes; ++i) {
            bus_ports_.push_back(free_port());
            std::vector<std::string> words = {
                "--cluster-enabled",
                "yes", //
                "--cluster-port",
                std::to_string(bus_ports_.back()),
                "--cluster-node-timeout",
                kCalm,
                "--cluster-replica-validity-factor",
                "0",
                "--cluster-allow-replica-migration",
                "no",
                "--repl-diskless-sync-delay",
                "0",
                "--repl-ping-replica-period",
                "1",
            };
            words.insert(words.end(), more.begin(), more.end());
            nodes_.push_back({.server = std::make_unique<RedisServer>(std::move(words))});
        }
        make_one();
    }

    [[nodiscard]] std::uint16_t port(std::size_t index) const {
        return nodes_[index].server->port();
    }
    redis::Reply ask(std::size_t index, const std::vector<std::string>& words) const {
        return ask_redis(port(index), words);
    }
    /// With all nodes as seeds.
    [[nodiscard]] std::string url() const {
        std::string url = "redis+cluster://";
        for (std::size_t i = 0; i < kNodes; ++i)
            url += (i == 0 ? "127.0.0.1:" : ",127.0.0.1:") + std::to_string(port(i));
        return url;
    }
    /// Its replica takes over within a few seconds.
    void kill(std::size_t index) {
        set_node_timeout(kQuick);
        nodes_[index].server->kill();
        nodes_[index].state = State::kKilled;
    }
    /// It accepts connections and answers nothing.
    void pause(std::size_t index) {
        set_node_timeout(kQuick);
        nodes_[index].server->pause();
        nodes_[index].state = State::kPaused;
    }
    /// The node that serves the slot, as most say; kNone when nobody does.
    [[nodiscard]] std::size_t owner(std::uint16_t slot) const {
        std::array<int, kNodes> votes{};
        for (std::size_t i = 0; i < kNodes; ++i) {
            const std::size_t named = nodes_[i].state == State::kRuns ? owner_by(i, slot) : kNone;
            if (named != kNone)
                ++votes[named];
        }
        const auto most = std::ranges::max_element(votes);
        return *most > 0 ? static_cast<std::size_t>(most - votes.begin()) : kNone;
    }
    /// A master that runs, and is not `index`.
    [[nodiscard]] std::size_t master_beside(std::size_t index) const {
        for (std::size_t i = 0; i < kNodes; ++i) {
            const bool asked = i != index && nodes_[i].state == State::kRuns;
            const auto role = asked ? ask(i, {"ROLE"}) : redis::Reply();
            if (!role.items.empty() && role.items[0].text == "master")
                return i;
        }
        return kNone;
    }
    /// Moves a slot as redis-cli does, while everything runs: begin, its keys, end.
    void begin_migration(std::uint16_t slot, std::size_t from, std::size_t to) {
        must(to, {"CLUSTER", "SETSLOT", std::to_string(slot), "IMPORTING", id(from)});
        must(from, {"CLUSTER", "SETSLOT", std::to_string(slot), "MIGRATING", id(to)});
    }
    /// Up to `most` keys. How many there were.
    std::size_t migrate_keys(std::uint16_t slot, std::size_t from, std::size_t to,
                             std::size_t most) {
        const auto keys =
            ask(from, {"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(most)});
        if (keys.items.empty())
            return 0;
        std::vector<std::string> words = {"MIGRATE", "127.0.0.1", std::to_string(port(to)), "", "0",
                                          "5000",    "KEYS"};
        for (const redis::Reply& key : keys.items)
            words.push_back(key.text);
        must(from, words);
        return keys.items.size();
    }
    void end_migration(std::uint16_t slot, std::size_t from, std::size_t to) {
        for (const std::size_t told : {to, from})
            must(told, {"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", id(to)});
    }
    /// Starts what was killed and waits until all is well.
    void heal() {
        for (Node& each : nodes_) {
            if (each.state == State::kPaused)
                each.server->resume();
            if (each.state == State::kKilled)
                each.server->start();
            each.state = State::kRuns;
        }
        wait_until_well();
        set_node_timeout(kCalm);
    }

private:
    // A busy machine must not look like a dead node, but the tests of dead nodes be quick.
    static constexpr const char* kCalm = "10000"; // milliseconds
    static constexpr const char* kQuick = "1000";

    enum class State : std::uint8_t { kRuns, kPaused, kKilled };
    struct Node {
        std::unique_ptr<RedisServer> server;
        State state = State::kRuns;
    };

    [[nodiscard]] std::string id(std::size_t index) const {
        return ask(index, {"CLUSTER", "MYID"}).text;
    }
    void must(std::size_t index, const std::vector<std::string>& words) const {
        must_ask_redis(port(index), words);
    }

    void set_node_timeout(const char* milliseconds) const {
        for (std::size_t i = 0; i < kNodes; ++i) {
            if (nodes_[i].state == State::kRuns)
                must(i, {"CONFIG", "SET", "cluster-node-timeout", milliseconds});
        }
    }

    void make_one() {
        for (std::size_t i = 0; i < kNodes; ++i)
            must(i, {"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
        for (std::size_t i = 0; i < kMasters; ++i) {
            must(i, {"CLUSTER", "ADDSLOTSRANGE", std::to_string(i * redis::kSlots / kMasters),
                     std::to_string((i + 1) * redis::kSlots / kMasters - 1)});
        }
        for (std::size_t i = 0; i < kNodes; ++i) {
            for (std::size_t j = i + 1; j < kNodes; ++j) {
                must(i, {"CLUSTER", "MEET", "127.0.0.1", std::to_string(port(j)),
                         std::to_string(bus_ports_[j])});
            }
        }
        require_eventually("the nodes know each other", [this] {
            return std::ranges::all_of(nodes_, [](const Node& each) {
                const std::string nodes = ask_redis(each.server->port(), {"CLUSTER", "NODES"}).text;
                return std::ranges::count(nodes, '\n') == kNodes &&
                       nodes.find("handshake") == std::string::npos &&
                       nodes.find("noaddr") == std::string::npos;
            });
        });
        for (std::size_t i = kMasters; i < kNodes; ++i)
            must(i, {"CLUSTER", "REPLICATE", id(i - kMasters)});
        wait_until_well();
    }

    void wait_until_well() {
        require_eventually("the Cluster is well", [this] {
            return std::ranges::all_of(
                nodes_, [](const Node& each) { return is_well(each.server->port()); });
        });
    }

    /// It sees a whole Cluster, and every master has a replica that follows.
    static bool is_well(std::uint16_t one) {
        if (ask_redis(one, {"CLUSTER", "INFO"}).text.find("cluster_state:ok") == std::string::npos)
            return false;
        const std::string replication = ask_redis(one, {"INFO", "replication"}).text;
        const bool follows = replication.find("role:slave") != std::string::npos &&
                             replication.find("master_link_status:up") != std::string::npos;
        const bool leads = replication.find("role:master") != std::string::npos &&
                           replication.find("state=online") != std::string::npos;
        const std::string nodes = ask_redis(one, {"CLUSTER", "NODES"}).text;
        return (follows || leads) && nodes.find("fail") == std::string::npos &&
               nodes.find("disconnected") == std::string::npos;
    }

    [[nodiscard]] std::size_t owner_by(std::size_t asked, std::uint16_t slot) const {
        for (const redis::Reply& range : ask(asked, {"CLUSTER", "SLOTS"}).items) {
            if (range.items.size() < 3 || range.items[0].integer > slot ||
                range.items[1].integer < slot)
                continue;
            for (std::size_t i = 0; i < kNodes; ++i) {
                if (port(i) == range.items[2].items[1].integer)
                    return i;
            }
        }
        return kNone;
    }

    std::vector<Node> nodes_;
    std::vector<std::uint16_t> bus_ports_;
};

} // namespace larder::testing
