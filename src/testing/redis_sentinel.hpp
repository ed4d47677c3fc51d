// A master with two replicas and three Sentinels that watch it. Blocking; started from the main
// thread.
#pragma once

#include "testing/redis_ask.hpp"
#include "testing/redis_server.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace larder::testing {

class RedisSentinels {
public:
    static constexpr std::size_t kServers = 3;
    static constexpr std::size_t kSentinels = 3;
    static constexpr const char* kName = "larder-test";

    /// Returns when every Sentinel knows the master, its replicas and the other Sentinels.
    RedisSentinels() : RedisSentinels(true) {}
    /// `watched` false: the Sentinels know no master yet, see `watch`.
    explicit RedisSentinels(bool watched) {
        std::string directory = std::filesystem::temp_directory_path() / "sentinels-XXXXXX";
        if (::mkdtemp(directory.data()) == nullptr)
            std::abort();
        directory_ = directory;
        for (std::size_t i = 0; i < kServers; ++i) {
            std::vector<std::string> words = {"--repl-diskless-sync-delay", "0",
                                              "--repl-ping-replica-period", "1"};
            if (i > 0)
                words.insert(words.end(), {"--replicaof", "127.0.0.1", std::to_string(port(0))});
            servers_.push_back(std::make_unique<RedisServer>(std::move(words)));
        }
        require_eventually("the replicas follow", [this] {
            return info(0).find("connected_slaves:2") != std::string::npos &&
                   info(1).find("master_link_status:up") != std::string::npos &&
                   info(2).find("master_link_status:up") != std::string::npos;
        });
        for (std::size_t i = 0; i < kSentinels; ++i)
            start_sentinel();
        if (watched)
            watch();
    }

    ~RedisSentinels() {
        sentinels_.clear();
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    RedisSentinels(const RedisSentinels&) = delete;
    RedisSentinels& operator=(const RedisSentinels&) = delete;

    /// Tells all Sentinels of the master.
    void watch() {
        const std::string first = std::to_string(port(0));
        for (const Sentinel& each : sentinels_) {
            must_ask_redis(each.port, {"SENTINEL", "MONITOR", kName, "127.0.0.1", first, "2"});
            must_ask_redis(each.port, {"SENTINEL", "SET", kName, "down-after-milliseconds", kCalm,
                                       "failover-timeout", "3000", "parallel-syncs", "2"});
        }
        require_eventually("the Sentinels know each other and the replicas", [this] {
            return std::ranges::all_of(sentinels_, [](const Sentinel& each) {
                const auto master = ask_redis(each.port, {"SENTINEL", "MASTER", kName});
                return field_of(master, "num-slaves") == "2" &&
                       field_of(master, "num-other-sentinels") == "2" &&
                       field_of(master, "flags") == "master";
            });
        });
    }

    /// If it is the master, a replica takes over within a few seconds.
    void kill(std::size_t index) {
        for (const Sentinel& each : sentinels_)
            must_ask_redis(each.port,
                           {"SENTINEL", "SET", kName, "down-after-milliseconds", kQuick});
        servers_[index]->kill();
    }
    [[nodiscard]] std::uint16_t port(std::size_t index) const { return servers_[index]->port(); }
    [[nodiscard]] std::uint16_t sentinel_port(std::size_t index) const {
        return sentinels_[index].port;
    }
    void kill_sentinel(std::size_t index) { sentinels_[index].program->kill(); }
    [[nodiscard]] std::string url(const std::string& name = kName) const {
        std::string url = "redis+sentinel://";
        for (std::size_t i = 0; i < kSentinels; ++i)
            url += (i == 0 ? "127.0.0.1:" : ",127.0.0.1:") + std::to_string(sentinel_port(i));
        return url + "/" + name;
    }

    /// The server that most Sentinels call the master; kServers when there is none.
    [[nodiscard]] std::size_t master() const {
        std::array<int, kServers> votes{};
        for (const Sentinel& each : sentinels_) {
            const auto named = ask_redis(each.port, {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", kName});
            for (std::size_t i = 0; i < kServers; ++i) {
                if (named.items.size() == 2 && named.items[1].text == std::to_string(port(i)))
                    ++votes[i];
            }
        }
        const auto most = std::ranges::max_element(votes);
        return *most > 0 ? static_cast<std::size_t>(most - votes.begin()) : kServers;
    }

private:
    // A busy machine must not look like a dead server, but the tests of dead servers be quick.
    static constexpr const char* kCalm = "10000"; // milliseconds
    static constexpr const char* kQuick = "500";

    struct Sentinel {
        std::uint16_t port = 0;
        std::unique_ptr<ChildProgram> program;
    };

    [[nodiscard]] std::string info(std::size_t index) const {
        return ask_redis(port(index), {"INFO", "replication"}).text;
    }
    /// Another program may take the port in between: then another one.
    void start_sentinel() {
        require_eventually("a Sentinel starts", [this] {
            Sentinel made{.port = free_port(), .program = nullptr};
            const std::string name = directory_ / std::to_string(made.port);
            std::ofstream(name + ".conf")
                << "port " << made.port << "\nbind 127.0.0.1\ndir " << directory_.string() << '\n';
            made.program = std::make_unique<ChildProgram>(
                std::vector<std::string>{"redis-server", name + ".conf", "--sentinel"},
                name + ".log");
            const bool answers = eventually([&made] {
                return made.program->has_ended() || ask_redis(made.port, {"PING"}).text == "PONG";
            });
            if (!answers || made.program->has_ended())
                return false;
            sentinels_.push_back(std::move(made));
            return true;
        });
    }

    std::filesystem::path directory_;
    std::vector<std::unique_ptr<RedisServer>> servers_;
    std::vector<Sentinel> sentinels_;
};

} // namespace larder::testing
