// larder-bench-upstream: an OpenAI-like provider that costs as little as it can, so that what is
// measured is the server in front of it. One thread, one epoll; every POST gets the same bytes,
// made at the start; GET /stats says how many. A connection answers its requests in order (RFC
// 9112, 9.3.2); while a delayed answer is due it reads no further request.
#include "bench/http_head.hpp"

#include <arpa/inet.h>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace larder::bench {
namespace {

constexpr std::size_t kRequestBytesMax = 1U << 20;
constexpr std::size_t kReadBytes = 64U << 10;
constexpr int kEventsMax = 256;
constexpr int kStreamEvents = 8;

struct Options {
    std::uint16_t port = 0;
    std::size_t body_bytes = 1024;
    std::int64_t delay_ms = 0; // plain: before the answer; streaming: in the middle of it
};

volatile std::sig_atomic_t stop_requested = 0;

std::int64_t now_ms() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

/// `bytes` characters of plain text that need no escape in JSON.
std::string make_text(std::size_t bytes) {
    constexpr std::string_view kSentence =
        "A cache keeps what was asked before, so that the next one who asks need not wait for it. ";
    std::string text;
    while (text.size() < bytes) {
        text.append(kSentence.substr(0, bytes - text.size()));
    }
    return text;
}

std::string make_completion(std::size_t body_bytes) {
    const std::string front =
        R"({"id":"chatcmpl-bench","object":"chat.completion","created":1750000000,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":")";
    const std::string back =
        R"(","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":48,"completion_tokens":150,"total_tokens":198,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"system_fingerprint":"fp_bench"})";
    const std::size_t frame = front.size() + back.size();
    return front + make_text(body_bytes > frame ? body_bytes - frame : 1) + back;
}

std::string make_response(std::string_view content_type, const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(content_type) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string make_chunk(const std::string& data) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + data + "\r\n";
}

std::string make_event(std::string_view choices, std::string_view usage) {
    return make_chunk("data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","
                      "\"created\":1750000000,\"model\":\"gpt-4o\",\"choices\":[" +
                      std::string(choices) + "],\"usage\":" + std::string(usage) + "}\n\n");
}

/// A streamed answer in two pieces; the delay stands between them.
struct StreamedAnswer {
    std::string first;
    std::string rest;
};

StreamedAnswer make_stream(std::size_t body_bytes) {
    StreamedAnswer answer;
    answer.first = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n";
    const std::string text = make_text(body_bytes / kStreamEvents / 2);
    for (int i = 0; i < kStreamEvents; ++i) {
        std::string choice = R"({"index":0,"delta":{)";
        choice += i == 0 ? R"("role":"assistant",)" : "";
        choice.append(R"("content":")").append(text).append(R"("},"finish_reason":null})");
        const std::string event = make_event(choice, "null");
        (i < kStreamEvents / 2 ? answer.first : answer.rest) += event;
    }
    answer.rest += make_event(R"({"index":0,"delta":{},"finish_reason":"stop"})", "null");
    answer.rest +=
        make_event("", R"({"prompt_tokens":48,"completion_tokens":150,"total_tokens":198})");
    answer.rest += make_chunk("data: [DONE]\n\n") + "0\r\n\r\n";
    return answer;
}

struct Connection {
    std::uint64_t id = 0;
    int socket = -1;
    std::string in;
    std::string out;
    bool waiting = false;     // a delayed piece is due
    bool wants_write = false; // EPOLLOUT is on
    bool close_after = false;
};

class Upstream {
public:
    explicit Upstream(const Options& options)
        : options_(options),
          plain_(make_response("application/json", make_completion(options.body_bytes))),
          stream_(make_stream(options.body_bytes)) {}

    bool listen();
    void run();

private:
    struct Delayed {
        std::int64_t due_ms = 0;
        std::uint64_t connection = 0;
        std::string_view bytes; // of plain_ or stream_
    };

    void accept_all();
    void on_event(Connection& connection, std::uint32_t events);
    void serve(Connection& connection);
    void answer(Connection& connection, const Head& head, std::string_view body);
    void send_later(Connection& connection, std::string_view bytes);
    void send_due();
    bool flush(Connection& connection);
    void drop(Connection& connection);
    [[nodiscard]] int wait_ms() const;

    Options options_;
    std::string plain_;
    StreamedAnswer stream_;
    int epoll_ = -1;
    int listener_ = -1;
    std::uint64_t next_id_ = 1;
    std::uint64_t calls_ = 0;
    std::map<std::uint64_t, std::unique_ptr<Connection>> connections_; // bounded by the file limit
    std::deque<Delayed> delayed_; // at most one a connection; all have the same delay, so in order
};

bool Upstream::listen() {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, generic, size) != 0 || ::listen(listener_, 4096) != 0 ||
        getsockname(listener_, generic, &size) != 0) {
        std::perror("larder-bench-upstream");
        return false;
    }
    epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
    std::printf("{\"msg\":\"listening\",\"address\":\"127.0.0.1:%d\"}\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return true;
}

int Upstream::wait_ms() const {
    if (delayed_.empty()) {
        return -1;
    }
    const std::int64_t left = delayed_.front().due_ms - now_ms();
    return left > 0 ? static_cast<int>(left) : 0;
}

void Upstream::run() {
    epoll_event events[kEventsMax];
    while (stop_requested == 0) {
        const int ready = epoll_wait(epoll_, events, kEventsMax, wait_ms());
        for (int i = 0; i < ready; ++i) {
            const std::uint64_t id = events[i].data.u64; // a copy: epoll_event is packed
            if (id == 0) {
                accept_all();
                continue;
            }
            const auto found = connections_.find(id);
            if (found != connections_.end()) {
                on_event(*found->second, events[i].events);
            }
        }
        send_due();
    }
}

void Upstream::accept_all() {
    while (true) {
        const int accepted = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            return;
        }
        const int on = 1;
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        auto connection = std::make_unique<Connection>();
        connection->id = next_id_++;
        connection->socket = accepted;
        epoll_event event{.events = EPOLLIN, .data = {.u64 = connection->id}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, accepted, &event);
        connections_.emplace(connection->id, std::move(connection));
    }
}

void Upstream::on_event(Connection& connection, std::uint32_t events) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        return drop(connection);
    }
    if ((events & EPOLLOUT) != 0 && !flush(connection)) {
        return drop(connection);
    }
    if ((events & EPOLLIN) == 0) {
        return;
    }
    char buffer[kReadBytes];
    const ssize_t got = recv(connection.socket, buffer, sizeof buffer, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        return drop(connection);
    }
    if (got > 0) {
        connection.in.append(buffer, static_cast<std::size_t>(got));
        serve(connection);
    }
}

/// Answers every whole request that has come; may drop the connection.
void Upstream::serve(Connection& connection) {
    std::size_t used = 0;
    while (!connection.waiting && !connection.close_after) {
        const std::string_view bytes = std::string_view(connection.in).substr(used);
        const auto head = parse_head(bytes);
        const std::size_t body_bytes = head ? head->content_length : 0;
        if (connection.in.size() > kRequestBytesMax || body_bytes > kRequestBytesMax ||
            (head && (!head->valid || head->chunked))) {
            return drop(connection); // neither peer sends a chunked request
        }
        if (!head || bytes.size() - head->head_bytes < body_bytes) {
            break;
        }
        answer(connection, *head, bytes.substr(head->head_bytes, body_bytes));
        used += head->head_bytes + body_bytes;
    }
    connection.in.erase(0, used);
    if (!flush(connection)) {
        drop(connection);
    }
}

void Upstream::answer(Connection& connection, const Head& head, std::string_view body) {
    connection.close_after = head.close;
    if (head.first_line.starts_with("GET /stats ")) {
        connection.out +=
            make_response("application/json", "{\"calls\":" + std::to_string(calls_) + "}");
        return;
    }
    if (!head.first_line.starts_with("POST ")) {
        connection.out += "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        return;
    }
    ++calls_;
    const bool streaming = body.find("\"stream\":true") != std::string_view::npos ||
                           body.find("\"stream\": true") != std::string_view::npos;
    if (streaming) {
        connection.out += stream_.first;
    }
    const std::string_view last = streaming ? stream_.rest : plain_;
    if (options_.delay_ms > 0) {
        send_later(connection, last);
    } else {
        connection.out += last;
    }
}

void Upstream::send_later(Connection& connection, std::string_view bytes) {
    connection.waiting = true;
    delayed_.push_back({now_ms() + options_.delay_ms, connection.id, bytes});
}

void Upstream::send_due() {
    while (!delayed_.empty() && delayed_.front().due_ms <= now_ms()) {
        const Delayed due = delayed_.front();
        delayed_.pop_front();
        const auto found = connections_.find(due.connection);
        if (found != connections_.end()) {
            found->second->waiting = false;
            found->second->out += due.bytes;
            serve(*found->second);
        }
    }
}

/// False when the connection is at its end.
bool Upstream::flush(Connection& connection) {
    while (!connection.out.empty()) {
        const ssize_t sent =
            send(connection.socket, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (sent < 0) {
            break;
        }
        connection.out.erase(0, static_cast<std::size_t>(sent));
    }
    const bool wants_write = !connection.out.empty();
    if (wants_write != connection.wants_write) {
        connection.wants_write = wants_write;
        epoll_event event{.events = EPOLLIN | (wants_write ? EPOLLOUT : 0U),
                          .data = {.u64 = connection.id}};
        epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket, &event);
    }
    return wants_write || connection.waiting || !connection.close_after;
}

void Upstream::drop(Connection& connection) {
    close(connection.socket);
    connections_.erase(connection.id);
}

std::int64_t number_argument(const char* text) {
    return std::strtoll(text, nullptr, 10);
}

int main_with(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        if (i + 1 < count && name == "--port") {
            options.port = static_cast<std::uint16_t>(number_argument(arguments[++i]));
        } else if (i + 1 < count && name == "--body-bytes") {
            options.body_bytes = static_cast<std::size_t>(number_argument(arguments[++i]));
        } else if (i + 1 < count && name == "--delay-ms") {
            options.delay_ms = number_argument(arguments[++i]);
        } else {
            std::fputs("usage: larder-bench-upstream [--port N] [--body-bytes N] [--delay-ms N]\n",
                       stderr);
            return 2;
        }
    }
    struct sigaction action{};
    action.sa_handler = [](int) { stop_requested = 1; };
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    Upstream upstream(options);
    if (!upstream.listen()) {
        return 1;
    }
    upstream.run();
    return 0;
}

} // namespace
} // namespace larder::bench

int main(int count, char** arguments) {
    return larder::bench::main_with(count, arguments);
}
