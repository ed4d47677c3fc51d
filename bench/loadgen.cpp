// larder-bench-load: drives one server with many keep-alive connections, in a closed or an open
// loop, and prints JSON. Open loop: the moment of every request is planned before the run (start +
// n / rate). A request that finds no idle connection waits and its latency counts from the planned
// moment, so that a slow server can't hide its own pauses (no coordinated omission). One thread,
// one epoll; in the open loop it spins, so that waking up isn't measured.
#include "bench/http_head.hpp"
#include "bench/latency.hpp"
#include "bench/loadgen_options.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <deque>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace larder::bench {
namespace {

constexpr std::string_view kPlaceholder = "{{unique}}"; // as long as the number that replaces it
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kGraceNs = 10 * kSecond; // for answers that are due at the end
constexpr double kDurationMaxS = 120;           // of a run that is bounded by requests only
constexpr std::uint64_t kErrorsMax = 1000;      // then the run is given up
constexpr std::size_t kResponseBytesMax = 16U << 20;
constexpr std::size_t kReadBytes = 64U << 10;
constexpr int kEventsMax = 256;

std::int64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * kSecond + now.tv_nsec;
}

struct Connection {
    int socket = -1;
    bool busy = false;
    std::int64_t planned_ns = 0; // when its request was to be sent
    std::string in;
    std::string out; // what the socket didn't take at once
};

struct Counts {
    std::uint64_t issued = 0;
    std::uint64_t completed = 0;
    std::uint64_t containing = 0;
    std::uint64_t connect_errors = 0;
    std::uint64_t broken = 0;    // closed or reset before the whole answer
    std::uint64_t malformed = 0; // an answer that isn't HTTP/1.1
    std::uint64_t unanswered = 0;
    std::map<int, std::uint64_t> statuses;

    [[nodiscard]] std::uint64_t errors() const {
        return connect_errors + broken + malformed + unanswered;
    }
};

class Generator {
public:
    explicit Generator(Options options);
    /// Runs until the bound and the last answer; false when no connection could be made.
    bool run();
    void print() const;

private:
    void make_request();
    bool connect(std::size_t index);
    void dispatch();
    bool is_due(std::int64_t now, std::int64_t& planned) const;
    void issue(std::size_t index, std::int64_t planned);
    std::uint64_t next_number();
    void flush(std::size_t index);
    void on_readable(std::size_t index);
    bool take_response(std::size_t index);
    void finish(std::size_t index, const Head& head, std::string_view body);
    void break_connection(std::size_t index);
    [[nodiscard]] bool is_finished(std::int64_t now) const;

    Options options_;
    std::string request_;
    std::size_t unique_at_ = std::string::npos;
    std::uint64_t numbers_given_ = 0;
    std::int64_t start_ns_ = 0;
    std::int64_t end_ns_ = 0;
    std::int64_t last_answer_ns_ = 0;
    std::uint64_t requests_max_ = UINT64_MAX;
    int epoll_ = -1;
    std::vector<Connection> connections_;
    std::deque<std::size_t> idle_;
    std::size_t busy_ = 0;
    std::string buffer_;
    Counts counts_;
    LatencyRecorder latency_;
    LatencyRecorder send_lag_; // how late requests left: above some µs the generator or its idle
                               // connections ran out
};

Generator::Generator(Options options) : options_(std::move(options)), buffer_(kReadBytes, '\0') {
    make_request();
    connections_.resize(options_.connections);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (options_.requests > 0) {
        requests_max_ = options_.requests;
    }
    if (options_.rate > 0 && options_.duration_s > 0) {
        requests_max_ = std::min(requests_max_, std::uint64_t(options_.rate * options_.duration_s));
    }
}

void Generator::make_request() {
    request_ = options_.method + " " + options_.path +
               " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(options_.port) + "\r\n";
    for (const std::string& header : options_.headers) {
        request_ += header + "\r\n";
    }
    if (options_.method != "GET") {
        request_ += "Content-Length: " + std::to_string(options_.body.size()) + "\r\n";
    }
    request_ += "\r\n" + options_.body;
    if (options_.unique) {
        unique_at_ = request_.find(kPlaceholder);
    }
}

bool Generator::connect(std::size_t index) {
    Connection& connection = connections_[index];
    connection = {};
    connection.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connection.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        ++counts_.connect_errors;
        close(connection.socket);
        connection.socket = -1;
        return false;
    }
    const int on = 1;
    setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
    idle_.push_back(index);
    return true;
}

bool Generator::run() {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        if (!connect(i)) {
            return false;
        }
    }
    start_ns_ = now_ns();
    last_answer_ns_ = start_ns_;
    const double duration_s = options_.duration_s > 0 ? options_.duration_s : kDurationMaxS;
    end_ns_ = start_ns_ + std::int64_t(duration_s * double(kSecond));
    const int wait_ms = options_.rate > 0 ? 0 : 100;
    dispatch();
    epoll_event events[kEventsMax];
    while (!is_finished(now_ns())) {
        const int ready = epoll_wait(epoll_, events, kEventsMax, wait_ms);
        for (int i = 0; i < ready; ++i) {
            const std::size_t index = events[i].data.u64;
            if ((events[i].events & EPOLLOUT) != 0) {
                flush(index);
            }
            if ((events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
                on_readable(index);
            }
            dispatch();
        }
        dispatch();
    }
    counts_.unanswered = busy_;
    return true;
}

bool Generator::is_finished(std::int64_t now) const {
    const bool dead = idle_.empty() && busy_ == 0;
    if (dead || counts_.errors() > kErrorsMax || now > end_ns_ + kGraceNs) {
        return true;
    }
    if (options_.rate > 0) { // every planned request is sent, however late
        return counts_.issued >= requests_max_ && busy_ == 0;
    }
    return (now >= end_ns_ || counts_.issued >= requests_max_) && busy_ == 0;
}

bool Generator::is_due(std::int64_t now, std::int64_t& planned) const {
    if (counts_.issued >= requests_max_) {
        return false;
    }
    if (options_.rate > 0) {
        planned =
            start_ns_ + std::int64_t(double(counts_.issued) * double(kSecond) / options_.rate);
        return planned <= now;
    }
    planned = now;
    return now < end_ns_;
}

/// Sends what is due on idle connections, the longest idle first.
void Generator::dispatch() {
    std::int64_t planned = 0;
    while (!idle_.empty() && is_due(now_ns(), planned)) {
        const std::size_t index = idle_.front();
        idle_.pop_front();
        issue(index, planned);
    }
}

std::uint64_t Generator::next_number() {
    const std::uint64_t first = *options_.unique;
    if (counts_.issued % options_.fresh_every != 0) {
        return first;
    }
    const std::uint64_t number = first + numbers_given_ % options_.cycle;
    ++numbers_given_;
    return number;
}

void Generator::issue(std::size_t index, std::int64_t planned) {
    if (unique_at_ != std::string::npos) {
        std::uint64_t number = next_number();
        for (std::size_t i = kPlaceholder.size(); i-- > 0; number /= 10) {
            request_[unique_at_ + i] = char('0' + number % 10);
        }
    }
    Connection& connection = connections_[index];
    connection.busy = true;
    connection.planned_ns = planned;
    ++busy_;
    ++counts_.issued;
    const std::int64_t at = planned - start_ns_;
    send_lag_.record(at, now_ns() - planned);
    const ssize_t sent =
        send(connection.socket, request_.data(), request_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
        return break_connection(index);
    }
    const auto taken = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
    if (taken < request_.size()) {
        connection.out = request_.substr(taken);
        epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.u64 = index}};
        epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket, &event);
    }
}

void Generator::flush(std::size_t index) {
    Connection& connection = connections_[index];
    const ssize_t sent = send(connection.socket, connection.out.data(), connection.out.size(),
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
        connection.out.erase(0, static_cast<std::size_t>(sent));
    }
    if (connection.out.empty()) {
        epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
        epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket, &event);
    }
}

void Generator::on_readable(std::size_t index) {
    Connection& connection = connections_[index];
    if (connection.socket < 0) {
        return;
    }
    const ssize_t got = recv(connection.socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        return break_connection(index);
    }
    connection.in.append(buffer_.data(), static_cast<std::size_t>(got));
    if (!take_response(index)) {
        ++counts_.malformed;
        break_connection(index);
    }
}

/// False when what came can't be the answer to the one request that is under way.
bool Generator::take_response(std::size_t index) {
    const std::string_view bytes = connections_[index].in;
    const auto head = parse_head(bytes);
    if (!head) {
        return bytes.size() < kResponseBytesMax;
    }
    const std::string_view rest = bytes.substr(head->head_bytes);
    std::size_t body_bytes = head->content_length;
    if (head->chunked) {
        const ChunkedLength length = chunked_length(rest);
        if (!length.valid || (length.bytes == 0 && rest.size() > kResponseBytesMax)) {
            return false;
        }
        if (length.bytes == 0) {
            return true;
        }
        body_bytes = length.bytes;
    } else if (!head->has_length || !head->valid) {
        return false;
    }
    if (rest.size() < body_bytes) {
        return body_bytes < kResponseBytesMax;
    }
    if (rest.size() > body_bytes || !connections_[index].busy) {
        return false;
    }
    finish(index, *head, rest);
    return true;
}

void Generator::finish(std::size_t index, const Head& head, std::string_view body) {
    Connection& connection = connections_[index];
    const std::int64_t now = now_ns();
    const std::int64_t at = connection.planned_ns - start_ns_;
    if (at >= std::int64_t(options_.warmup_s * double(kSecond))) {
        latency_.record(at, now - connection.planned_ns);
    }
    last_answer_ns_ = now;
    ++counts_.completed;
    const int status = head.first_line.size() > 12
                           ? std::atoi(std::string(head.first_line.substr(9, 3)).c_str())
                           : 0;
    ++counts_.statuses[status];
    if (!options_.contains.empty() && status == 200 &&
        body.find(options_.contains) != std::string_view::npos) {
        ++counts_.containing;
    }
    --busy_;
    connection.busy = false;
    if (head.close) {
        close(connection.socket);
        connect(index);
        return;
    }
    connection.in.clear();
    idle_.push_back(index);
}

/// Counts what is lost, and begins anew. An idle connection that the server closes is no error.
void Generator::break_connection(std::size_t index) {
    Connection& connection = connections_[index];
    if (connection.busy) {
        ++counts_.broken;
        --busy_;
    } else {
        std::erase(idle_, index);
    }
    close(connection.socket);
    connect(index);
}

void Generator::print() const {
    const auto summary = latency_.summarize();
    const auto lag = send_lag_.summarize();
    const double seconds = double(last_answer_ns_ - start_ns_) / double(kSecond);
    std::printf("{\"mode\":\"%s\",\"connections\":%zu,\"seconds\":%.6f,\"completed\":%llu,"
                "\"requestsPerSecond\":%.1f,\"plannedRate\":%.1f,\"containing\":%llu,",
                options_.rate > 0 ? "open" : "closed", connections_.size(), seconds,
                static_cast<unsigned long long>(counts_.completed),
                seconds > 0 ? double(counts_.completed) / seconds : 0, options_.rate,
                static_cast<unsigned long long>(counts_.containing));
    std::printf("\"statuses\":{");
    const char* separator = "";
    for (const auto& [status, count] : counts_.statuses) {
        std::printf("%s\"%d\":%llu", separator, status, static_cast<unsigned long long>(count));
        separator = ",";
    }
    std::printf(
        "},\"errors\":{\"connect\":%llu,\"broken\":%llu,\"malformed\":%llu,\"unanswered\":%llu},",
        static_cast<unsigned long long>(counts_.connect_errors),
        static_cast<unsigned long long>(counts_.broken),
        static_cast<unsigned long long>(counts_.malformed),
        static_cast<unsigned long long>(counts_.unanswered));
    std::printf(
        "\"latencyUs\":{\"samples\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,"
        "\"max\":%.1f},",
        summary.count, summary.p50_us, summary.p90_us, summary.p99_us, summary.p999_us,
        summary.max_us);
    std::printf(
        "\"windows\":{\"widthMs\":50,\"count\":%zu,\"medianP50Us\":%.1f,\"medianP99Us\":%.1f},",
        summary.windows, summary.windows_p50_us, summary.windows_p99_us);
    std::printf("\"sendLagUs\":{\"p50\":%.1f,\"p99\":%.1f}}\n", lag.p50_us, lag.p99_us);
}

} // namespace
} // namespace larder::bench

int main(int count, char** arguments) {
    using namespace larder::bench;
    auto options = read_options(count, arguments);
    if (!options) {
        std::fwrite(kUsage.data(), 1, kUsage.size(), stderr);
        return 2;
    }
    Generator generator(std::move(*options));
    const bool ran = generator.run();
    generator.print();
    return ran ? 0 : 1;
}
