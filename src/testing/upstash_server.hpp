// An Upstash of a test: tests/upstash_server.py in front of a real redis-server, with faults that
// are switched while it runs. It dies with the test program.
#pragma once

#include "base/json.hpp"
#include "testing/redis_server.hpp"

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace larder::testing {

class UpstashServer {
public:
    /// `extra`: more of its command line, such as {"--tls-cert", …, "--tls-key", …}.
    explicit UpstashServer(std::vector<std::string> extra = {}) : extra_(std::move(extra)) {
        start("0");
    }
    UpstashServer(const UpstashServer&) = delete;
    UpstashServer& operator=(const UpstashServer&) = delete;

    [[nodiscard]] const std::string& url() const { return url_; }
    [[nodiscard]] static std::string token() { return "test-token"; }
    [[nodiscard]] RedisServer& redis() { return redis_; }

    /// Connections to it are refused from now on; the redis-server runs on.
    void kill() { program_.reset(); }
    /// On the same port.
    void restart() {
        kill();
        start(url_.substr(url_.rfind(':') + 1));
    }
    void pause() const { program_->signal(SIGSTOP); }
    void resume() const { program_->signal(SIGCONT); }

    /// What befalls the next `count` requests, or all (-1); see tests/upstash_server.py. `more`:
    /// further members, such as `,"ms":500`.
    void fault(std::string_view mode, int count = -1, const std::string& more = "") const {
        std::string body = "{\"mode\":\"" + std::string(mode) + "\"" + more;
        if (count >= 0)
            body += ",\"count\":" + std::to_string(count);
        control("POST", "/-/fault", body + "}");
    }
    /// Sets all counts to 0.
    void reset() const { control("POST", "/-/reset", ""); }
    /// A count by its name in `GET /-/stats`: {"requests"}, {"by_command", "incr"}, {"sync",
    /// "newest"}.
    [[nodiscard]] std::int64_t count(const std::vector<std::string>& path) const {
        const std::string text = control("GET", "/-/stats", "");
        const auto document = json::parse(text);
        if (!document)
            std::abort();
        json::Value value = document->root();
        for (const std::string& name : path) {
            const auto member = value.find(name);
            if (!member)
                return 0;
            value = *member;
        }
        return value.as_int().value_or(0);
    }

private:
    void start(const std::string& port) {
        const std::string output = redis_.directory() + "/upstash-" + std::to_string(++starts_);
        std::vector<std::string> words{"python3",
                                       "-B",
                                       LARDER_SOURCE_DIR "/tests/upstash_server.py",
                                       "--redis",
                                       "127.0.0.1:" + std::to_string(redis_.port()),
                                       "--token",
                                       token(),
                                       "--port",
                                       port};
        words.insert(words.end(), extra_.begin(), extra_.end());
        program_ = std::make_unique<ChildProgram>(words, output);
        const bool listens = eventually([&] { return program_->has_ended() || read(output); });
        if (!listens || program_->has_ended()) {
            std::fprintf(stderr, "the Upstash server does not start; its output is in %s\n",
                         output.c_str());
            std::abort();
        }
    }

    /// Takes the URL from its first line once both are there.
    bool read(const std::string& output) {
        std::stringstream text;
        text << std::ifstream(output).rdbuf();
        std::string word;
        while (text >> word) {
            if (word.starts_with("http"))
                url_ = word;
            if (word == "redis" && text >> word && text >> word && text.get() == '\n')
                return true;
        }
        return false;
    }

    /// Not with TLS.
    std::string control(std::string_view method, std::string_view path,
                        const std::string& body) const {
        auto connection = RawConnection::to(url_.substr(url_.find("://") + 3));
        connection.send(std::string(method) + " " + std::string(path) +
                        " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                        body);
        return connection.read_reply().body;
    }

    RedisServer redis_;
    std::vector<std::string> extra_;
    std::unique_ptr<ChildProgram> program_;
    std::string url_;
    int starts_ = 0;
};

} // namespace larder::testing
