// larder-bench-stream-provider: an OpenAI-like provider whose every POST is answered by a stream
// of numbered events at a fixed pace. Each event says its number, when the request had come and
// when the event was sent (ns of CLOCK_MONOTONIC), so that a client can tell the way from the wait.
// One thread, one epoll; GET /stats counts calls and open streams.
#include "bench/http_head.hpp"
#include "bench/sockets.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <unistd.h>

namespace larder::bench {
namespace {

constexpr std::size_t kRequestBytesMax = 1U << 20;
constexpr std::size_t kUnsentBytesMax = 256U << 10; // of one stream that is read slowly

struct Options {
    std::uint16_t port = 0;
    int events = 64;
    std::int64_t interval_ns = 20'000'000;
    std::size_t event_bytes = 0; // padding
};

volatile std::sig_atomic_t stop_requested = 0;

struct Connection {
    int socket = -1;
    std::string in;
    std::string out;
    int next_event = -1; // -1: no stream is under way
    std::int64_t got_ns = 0;
    std::int64_t due_ns = 0;
    bool wants_write = false;
};

class Provider {
public:
    explicit Provider(const Options& options)
        : options_(options), padding_(options.event_bytes, 'x') {}
    bool listen() {
        epoll_ = epoll_create1(EPOLL_CLOEXEC);
        listener_ = listen_on_loopback(options_.port);
        if (listener_ < 0)
            return false;
        epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
        return epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) == 0;
    }
    void run();

private:
    using Due = std::multimap<std::int64_t, std::uint64_t>;

    void accept_all();
    void on_event(std::uint64_t id, std::uint32_t events);
    void serve(std::uint64_t id, Connection& connection);
    void begin(std::uint64_t id, Connection& connection);
    void send_due();
    void write_event(Connection& connection, std::int64_t now);
    bool flush(std::uint64_t id, Connection& connection);
    void drop(std::uint64_t id);

    Options options_;
    std::string padding_;
    int epoll_ = -1;
    int listener_ = -1;
    std::uint64_t next_id_ = 1;
    std::uint64_t calls_ = 0;
    std::size_t open_ = 0;
    std::map<std::uint64_t, Connection> connections_; // bounded by the file limit
    Due due_;                                         // one a stream
};

std::string chunk_of(const std::string& data) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + data + "\r\n";
}

std::string event_of(std::string_view choices, std::string_view more) {
    return chunk_of("data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","
                    "\"created\":1750000000,\"model\":\"gpt-4o\",\"choices\":[" +
                    std::string(choices) + "]" + std::string(more) + "}\n\n");
}

void Provider::run() {
    constexpr int kEventsMax = 512;
    constexpr std::int64_t kLongestWaitNs = 500'000'000;
    epoll_event events[kEventsMax];
    while (stop_requested == 0) {
        timespec wait{}; // finer than a millisecond, so that events don't come in bursts
        if (!due_.empty())
            wait.tv_nsec =
                std::clamp<std::int64_t>(due_.begin()->first - monotonic_ns(), 0, kLongestWaitNs);
        else
            wait.tv_nsec = kLongestWaitNs;
        const int ready = epoll_pwait2(epoll_, events, kEventsMax, &wait, nullptr);
        for (int i = 0; i < ready; ++i) {
            const std::uint64_t id = events[i].data.u64;
            if (id == 0)
                accept_all();
            else
                on_event(id, events[i].events);
        }
        send_due();
    }
}

void Provider::accept_all() {
    for (int accepted = accept_next(listener_); accepted >= 0; accepted = accept_next(listener_)) {
        const std::uint64_t id = next_id_++;
        connections_[id].socket = accepted;
        epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, accepted, &event);
    }
}

void Provider::on_event(std::uint64_t id, std::uint32_t events) {
    const auto found = connections_.find(id);
    if (found == connections_.end())
        return;
    Connection& connection = found->second;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0 ||
        ((events & EPOLLOUT) != 0 && !flush(id, connection)))
        return drop(id);
    if ((events & EPOLLIN) == 0)
        return;
    char buffer[16384];
    const ssize_t got = recv(connection.socket, buffer, sizeof buffer, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        return drop(id);
    if (got > 0) {
        connection.in.append(buffer, static_cast<std::size_t>(got));
        serve(id, connection);
    }
}

void Provider::serve(std::uint64_t id, Connection& connection) {
    while (connection.next_event < 0) {
        const auto head = parse_head(connection.in);
        const std::size_t whole = head ? head->head_bytes + head->content_length : 0;
        if (connection.in.size() > kRequestBytesMax || (head && (!head->valid || head->chunked)))
            return drop(id);
        if (!head || connection.in.size() < whole)
            break;
        const bool is_stats = head->first_line.starts_with("GET /stats ");
        connection.in.erase(0, whole);
        if (is_stats) {
            const std::string body =
                "{\"calls\":" + std::to_string(calls_) + ",\"open\":" + std::to_string(open_) + "}";
            connection.out += "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                              "\r\n\r\n" + body;
        } else {
            begin(id, connection);
        }
    }
    if (!flush(id, connection))
        drop(id);
}

void Provider::begin(std::uint64_t id, Connection& connection) {
    ++calls_;
    ++open_;
    connection.next_event = 0;
    connection.got_ns = monotonic_ns();
    connection.due_ns = connection.got_ns + options_.interval_ns;
    connection.out += "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n";
    due_.emplace(connection.due_ns, id);
}

void Provider::send_due() {
    const std::int64_t now = monotonic_ns();
    while (!due_.empty() && due_.begin()->first <= now) {
        const std::uint64_t id = due_.begin()->second;
        due_.erase(due_.begin());
        const auto found = connections_.find(id);
        if (found == connections_.end())
            continue;
        Connection& connection = found->second;
        if (connection.out.size() < kUnsentBytesMax) {
            write_event(connection, monotonic_ns());
            connection.due_ns += options_.interval_ns;
        } else {
            connection.due_ns = now + 1'000'000;
        }
        if (connection.next_event >= 0)
            due_.emplace(connection.due_ns, id);
        if (!flush(id, connection))
            drop(id);
        else if (connection.next_event < 0)
            serve(id, connection); // a request may wait
    }
}

void Provider::write_event(Connection& connection, std::int64_t now) {
    const int number = connection.next_event++;
    std::string choice = R"({"index":0,"delta":{)";
    choice += number == 0 ? R"("role":"assistant",)" : "";
    choice += "\"content\":\"" + std::to_string(number) + ':' + std::to_string(connection.got_ns) +
              ':' + std::to_string(now) + ' ' + padding_ + R"("},"finish_reason":null})";
    connection.out += event_of(choice, "");
    if (connection.next_event < options_.events)
        return;
    connection.out += event_of(R"({"index":0,"delta":{},"finish_reason":"stop"})", "");
    connection.out +=
        event_of("", R"(,"usage":{"prompt_tokens":8,"completion_tokens":64,"total_tokens":72})");
    connection.out += chunk_of("data: [DONE]\n\n") + "0\r\n\r\n";
    connection.next_event = -1;
    --open_;
}

/// False when the connection is at its end.
bool Provider::flush(std::uint64_t id, Connection& connection) {
    if (!send_pending(connection.socket, connection.out))
        return false;
    const bool wants_write = !connection.out.empty();
    if (wants_write != connection.wants_write) {
        connection.wants_write = wants_write;
        epoll_event event{.events = EPOLLIN | (wants_write ? EPOLLOUT : 0U), .data = {.u64 = id}};
        epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket, &event);
    }
    return true;
}

void Provider::drop(std::uint64_t id) {
    const auto found = connections_.find(id);
    if (found == connections_.end())
        return;
    open_ -= found->second.next_event >= 0 ? 1 : 0;
    close(found->second.socket);
    connections_.erase(found);
}

bool set_option(Options& options, std::string_view name, const char* value) {
    const auto number = std::strtoul(value, nullptr, 10);
    if (name == "--port")
        options.port = static_cast<std::uint16_t>(number);
    else if (name == "--events")
        options.events = static_cast<int>(number);
    else if (name == "--interval-ms")
        options.interval_ns = static_cast<std::int64_t>(number) * 1'000'000;
    else if (name == "--event-bytes")
        options.event_bytes = number;
    else
        return false;
    return true;
}

} // namespace
} // namespace larder::bench

int main(int count, char** arguments) {
    larder::bench::Options options;
    for (int i = 1; i < count; i += 2) {
        if (i + 1 == count || !larder::bench::set_option(options, arguments[i], arguments[i + 1])) {
            std::fputs("usage: larder-bench-stream-provider [--port N] [--events 64] "
                       "[--interval-ms 20] [--event-bytes N]\n",
                       stderr);
            return 2;
        }
    }
    larder::bench::raise_file_limit();
    std::signal(SIGTERM, [](int) { larder::bench::stop_requested = 1; });
    std::signal(SIGPIPE, SIG_IGN);
    larder::bench::Provider provider(options);
    if (!provider.listen()) {
        std::perror("larder-bench-stream-provider");
        return 1;
    }
    provider.run();
    return 0;
}
