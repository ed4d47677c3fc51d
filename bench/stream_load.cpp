// larder-bench-streams: asks for streams of larder-bench-stream-provider, so many at a time, and
// checks that every numbered event arrives once and in order. Prints one line of JSON: what the
// way took (without the provider's own wait), and what was lost, doubled or reordered. One thread.
#include "bench/http_head.hpp"
#include "bench/latency.hpp"
#include "bench/sockets.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <vector>

namespace larder::bench {
namespace {

struct Options {
    std::uint16_t port = 0;
    std::string path = "/v1/chat/completions";
    std::size_t streams = 1000;
    std::size_t at_once = 200;
    int events = 64;
    std::int64_t ramp_ms = 0; // over which the first ones begin, so that they aren't in step
    std::uint64_t unique = 1; // the first stream's number, so that no two prompts are equal
};

struct Figures {
    std::size_t whole = 0, broken = 0, bad_status = 0;
    std::size_t events = 0, lost = 0, doubled = 0, reordered = 0;
    std::vector<std::uint32_t> first_ns; // request to first event, less the provider's wait
    std::vector<std::uint32_t> event_ns; // each event from its sending to its arrival
};

struct Connection {
    int socket = -1;
    std::string in;
    std::string out;
    std::size_t scanned = 0;
    std::int64_t sent_ns = 0;
    std::vector<bool> seen;
    int highest = -1;
    bool has_head = false;
};

/// A number and the character behind it; false while they are not all there.
bool take_number(std::string_view& text, std::int64_t& number) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc{} || read.ptr == text.data() + text.size())
        return false;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()) + 1);
    return true;
}

class Load {
public:
    explicit Load(const Options& options) : options_(options) {}
    bool run();
    void print();

private:
    void begin(std::size_t slot);
    void end(std::size_t slot, bool whole);
    void on_event(std::size_t slot, std::uint32_t events);
    bool read_stream(Connection& connection, std::int64_t now);
    void take_event(Connection& connection, std::int64_t number, std::int64_t got,
                    std::int64_t sent, std::int64_t now);

    Options options_;
    Figures figures_;
    std::vector<Connection> connections_;
    std::size_t begun_ = 0, ended_ = 0;
    int epoll_ = -1;
};

bool Load::run() {
    constexpr int kSilenceMs = 30'000;
    constexpr int kEventsMax = 512;
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    connections_.resize(std::min(options_.at_once, options_.streams));
    const std::int64_t start = monotonic_ns();
    std::size_t slots = 0; // that have begun
    epoll_event events[kEventsMax];
    while (ended_ < options_.streams) {
        const auto due = static_cast<double>(monotonic_ns() - start) / 1e6 *
                         static_cast<double>(connections_.size());
        while (slots < connections_.size() &&
               due >= static_cast<double>(slots) * static_cast<double>(options_.ramp_ms))
            begin(slots++);
        const bool ramps = slots < connections_.size();
        const int ready = epoll_wait(epoll_, events, kEventsMax, ramps ? 1 : kSilenceMs);
        if (ready == 0 && !ramps)
            return false;
        for (int i = 0; i < ready; ++i)
            on_event(static_cast<std::size_t>(events[i].data.u64), events[i].events);
    }
    return true;
}

void Load::begin(std::size_t slot) {
    if (begun_ == options_.streams)
        return;
    const std::uint64_t number = options_.unique + begun_++;
    Connection& connection = connections_[slot];
    if (connection.socket < 0) {
        connection.socket = connect_to_loopback(options_.port);
        epoll_event event{.events = EPOLLIN, .data = {.u64 = slot}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
    }
    connection.in.clear();
    connection.scanned = 0;
    connection.highest = -1;
    connection.has_head = false;
    connection.seen.assign(static_cast<std::size_t>(options_.events), false);
    const std::string body =
        R"({"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},)"
        R"("messages":[{"role":"user","content":"Count for me, number )" +
        std::to_string(number) + R"("}]})";
    connection.out = "POST " + options_.path +
                     " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                     "Content-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body;
    connection.sent_ns = monotonic_ns();
    const bool alive = send_pending(connection.socket, connection.out);
    epoll_event event{.events = EPOLLIN | (connection.out.empty() ? 0U : EPOLLOUT),
                      .data = {.u64 = slot}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket, &event);
    if (!alive)
        end(slot, false);
}

void Load::end(std::size_t slot, bool whole) {
    Connection& connection = connections_[slot];
    ++ended_;
    ++(whole ? figures_.whole : figures_.broken);
    for (const bool seen : connection.seen)
        figures_.lost += seen ? 0 : 1;
    if (!whole) {
        close(connection.socket);
        connection.socket = -1;
    }
    begin(slot);
}

void Load::on_event(std::size_t slot, std::uint32_t events) {
    Connection& connection = connections_[slot];
    if ((events & EPOLLOUT) != 0) {
        connection.sent_ns = monotonic_ns(); // it has only now been connected
        if (!send_pending(connection.socket, connection.out))
            return end(slot, false);
        if (connection.out.empty()) {
            epoll_event event{.events = EPOLLIN, .data = {.u64 = slot}};
            epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket, &event);
        }
    }
    if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0)
        return;
    char buffer[65536];
    const ssize_t got = recv(connection.socket, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        return end(slot, false);
    connection.in.append(buffer, static_cast<std::size_t>(got));
    if (!connection.has_head) {
        const auto head = parse_head(connection.in);
        if (!head)
            return;
        connection.has_head = true;
        if (!head->first_line.starts_with("HTTP/1.1 200")) {
            ++figures_.bad_status;
            return end(slot, false);
        }
        connection.scanned = head->head_bytes;
    }
    if (read_stream(connection, monotonic_ns()))
        end(slot, true);
}

/// Takes the events that have come; true at the stream's end.
bool Load::read_stream(Connection& connection, std::int64_t now) {
    constexpr std::string_view kContent = "\"content\":\"";
    while (true) {
        const std::size_t at = connection.in.find(kContent, connection.scanned);
        if (at == std::string::npos)
            break;
        std::string_view rest = std::string_view(connection.in).substr(at + kContent.size());
        std::int64_t number = 0, got = 0, sent = 0;
        if (!take_number(rest, number) || !take_number(rest, got) || !take_number(rest, sent))
            return false;
        take_event(connection, number, got, sent, now);
        connection.scanned = connection.in.size() - rest.size();
    }
    constexpr std::size_t kOverlap = 64; // what may be the beginning of something
    const bool done = connection.in.find("data: [DONE]", connection.scanned) != std::string::npos &&
                      connection.in.ends_with("0\r\n\r\n");
    const std::size_t size = connection.in.size();
    connection.in.erase(0, std::max(connection.scanned, size > kOverlap ? size - kOverlap : 0));
    connection.scanned = 0;
    return done;
}

void Load::take_event(Connection& connection, std::int64_t number, std::int64_t got,
                      std::int64_t sent, std::int64_t now) {
    ++figures_.events;
    const auto clamp = [](std::int64_t ns) {
        return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ns, 0, UINT32_MAX));
    };
    figures_.event_ns.push_back(clamp(now - sent));
    if (number < 0 || number >= options_.events ||
        connection.seen[static_cast<std::size_t>(number)]) {
        ++figures_.doubled;
        return;
    }
    if (connection.highest < 0 && number == 0)
        figures_.first_ns.push_back(clamp(now - connection.sent_ns - (sent - got)));
    connection.seen[static_cast<std::size_t>(number)] = true;
    figures_.reordered += number < connection.highest ? 1 : 0;
    connection.highest = std::max(connection.highest, static_cast<int>(number));
}

void Load::print() {
    const double first_p50 = percentile_us(figures_.first_ns, 0.50);
    const double first_p99 = percentile_us(figures_.first_ns, 0.99);
    const double event_p50 = percentile_us(figures_.event_ns, 0.50);
    const double event_p99 = percentile_us(figures_.event_ns, 0.99);
    std::printf("{\"whole\":%zu,\"broken\":%zu,\"badStatus\":%zu,\"events\":%zu,\"lost\":%zu,"
                "\"doubled\":%zu,\"reordered\":%zu,\"firstUs\":{\"p50\":%.1f,\"p99\":%.1f},"
                "\"eventUs\":{\"p50\":%.1f,\"p99\":%.1f}}\n",
                figures_.whole, figures_.broken, figures_.bad_status, figures_.events,
                figures_.lost, figures_.doubled, figures_.reordered, first_p50, first_p99,
                event_p50, event_p99);
}

bool set_option(Options& options, std::string_view name, const char* value) {
    const auto number = std::strtoull(value, nullptr, 10);
    if (name == "--port")
        options.port = static_cast<std::uint16_t>(number);
    else if (name == "--path")
        options.path = value;
    else if (name == "--streams")
        options.streams = number;
    else if (name == "--at-once")
        options.at_once = number;
    else if (name == "--events")
        options.events = static_cast<int>(number);
    else if (name == "--ramp-ms")
        options.ramp_ms = static_cast<std::int64_t>(number);
    else if (name == "--unique")
        options.unique = number;
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
            std::fputs("usage: larder-bench-streams --port N [--path P] [--streams 1000] "
                       "[--at-once 200] [--events 64] "
                       "[--ramp-ms N] [--unique N]\n",
                       stderr);
            return 2;
        }
    }
    larder::bench::raise_file_limit();
    larder::bench::Load load(options);
    const bool ended = load.run();
    load.print();
    return ended ? 0 : 1;
}
