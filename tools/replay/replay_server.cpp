// The handler of the recorded provider: reads a request, asks for a plan, and carries it out.
#include "replay/replay_server.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "http/server.hpp"
#include "replay/answer.hpp"
#include "replay/plan.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

namespace larder::replay {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<SteadyClock, asio::wait_traits<SteadyClock>, Executor>;

constexpr std::size_t kBodyMax = 64ULL << 20;
constexpr std::size_t kPathsMax = 1000;
constexpr std::size_t kFaultsMax = 10'000;
constexpr milliseconds kSlice{10};        // how late a departure or a released gate is seen
constexpr milliseconds kWaitMax{600'000}; // of a hang or a closed gate
constexpr milliseconds kBytePause{1};     // of an answer that comes byte by byte

/// The last request as it came, for tests that look at the bytes.
struct LastRequest {
    std::string head; // JSON members for method, target and headers
    std::string body;
};

std::string json_text(std::string_view text) {
    std::string out;
    json::write_string(out, text);
    return out;
}

http::Response json_reply(int status, std::string body) {
    http::Response response;
    response.status = status;
    response.fields.emplace_back("content-type", "application/json");
    response.body = std::move(body);
    return response;
}

std::string write_stats(const Stats& stats) {
    std::string out = R"({"calls":)" + std::to_string(stats.calls) + R"(,"cancelled":)" +
                      std::to_string(stats.cancelled) + R"(,"active":)" +
                      std::to_string(stats.active) + R"(,"recorded":)" +
                      std::to_string(stats.recorded) + R"(,"madeUp":)" +
                      std::to_string(stats.made_up) + R"(,"faults":)" +
                      std::to_string(stats.faults) + R"(,"byPath":{)";
    bool first = true;
    for (const auto& [path, calls] : stats.by_path) {
        out += (first ? "" : ",") + json_text(path) + ":" + std::to_string(calls);
        first = false;
    }
    return out + "}}";
}

std::string write_head(const http::RequestHead& head) {
    std::string out = R"("method":)" + json_text(head.method_text) + R"(,"target":)" +
                      json_text(head.target) + R"(,"headers":[)";
    bool first = true;
    for (const http::Field& field : head.fields) {
        out += std::string(first ? "[" : ",[") + json_text(field.name) + "," +
               json_text(field.value) + "]";
        first = false;
    }
    return out + "]";
}

std::string write_last(const LastRequest& last) {
    if (last.head.empty())
        return "{}";
    const Sha256 digest = sha256(last.body);
    const std::string hex =
        text::hex(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
    return "{" + last.head + R"(,"sha256":")" + hex + R"(","body":)" + json_text(last.body) + "}";
}

} // namespace

struct ReplayServer::State {
    ReplaySettings settings;
    ExchangeStore store;
    std::unique_ptr<http::Server> server;
    std::atomic<bool> stopping = false;
    std::atomic<std::uint64_t> releases = 0;

    mutable std::mutex mutex; // over what stands below
    Stats stats;
    LastRequest last;
    std::map<std::string, std::uint64_t> fault_calls;

    Task<void> handle(http::Exchange& exchange);
    Task<void> handle_other(http::Exchange& exchange);
    Task<void> control(http::Exchange& exchange);
    Task<void> send(http::Exchange& exchange, Plan plan);
    Task<bool> send_pieces(http::Exchange& exchange, const Plan& plan);
    Task<bool> happen(http::Exchange& exchange, Plan::Event event, milliseconds wait);
    Task<bool> pause(http::Exchange& exchange, microseconds time);

    Plan plan(const Place& place, std::string_view body, const http::Fields& fields);
    std::uint64_t count_fault(const Asked& asked);
    void begin_call(const http::RequestHead& head, std::string_view body);
    void count_source(Source source);
    void end_call(bool whole);
    [[nodiscard]] microseconds token_time(std::size_t tokens) const;
};

// ---- counting

void ReplayServer::State::begin_call(const http::RequestHead& head, std::string_view body) {
    std::string path(head.path);
    std::string written = write_head(head);
    const std::lock_guard lock(mutex);
    ++stats.calls;
    ++stats.active;
    if (stats.by_path.size() >= kPathsMax && !stats.by_path.contains(path))
        path = "other";
    ++stats.by_path[path];
    last.head = std::move(written);
    last.body = body;
}

void ReplayServer::State::count_source(Source source) {
    const std::lock_guard lock(mutex);
    if (source == Source::kRecorded)
        ++stats.recorded;
    else if (source == Source::kMadeUp)
        ++stats.made_up;
    else
        ++stats.faults;
}

void ReplayServer::State::end_call(bool whole) {
    const std::lock_guard lock(mutex);
    if (stats.active > 0)
        --stats.active;
    if (!whole)
        ++stats.cancelled;
}

std::uint64_t ReplayServer::State::count_fault(const Asked& asked) {
    auto model = asked.body.find("model");
    std::string name = asked.place.provider + "/" + (model ? std::string(model->raw()) : "");
    const std::lock_guard lock(mutex);
    if (fault_calls.size() >= kFaultsMax && !fault_calls.contains(name))
        return 0;
    return fault_calls[name]++;
}

// ---- waiting

microseconds ReplayServer::State::token_time(std::size_t tokens) const {
    if (settings.tokens_per_second <= 0)
        return microseconds(0);
    return microseconds(
        static_cast<std::int64_t>(static_cast<double>(tokens) * 1e6 / settings.tokens_per_second));
}

/// False when the client has left or the server stops before the time is over.
Task<bool> ReplayServer::State::pause(http::Exchange& exchange, microseconds time) {
    const auto end = SteadyClock::now() + time;
    Timer timer(exchange.executor());
    while (!exchange.gone() && !stopping) {
        const auto left = end - SteadyClock::now();
        if (left <= SteadyClock::duration::zero())
            co_return true;
        timer.expires_after(std::min<SteadyClock::duration>(left, kSlice));
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
    }
    co_return false;
}

/// False when the reply ends here.
Task<bool> ReplayServer::State::happen(http::Exchange& exchange, Plan::Event event,
                                       milliseconds wait) {
    switch (event) {
    case Plan::Event::kNone:
        co_return true;
    case Plan::Event::kWait:
        co_return co_await pause(exchange, wait);
    case Plan::Event::kCut:
        co_return false;
    case Plan::Event::kHang:
        co_await pause(exchange, kWaitMax);
        co_return false;
    case Plan::Event::kGate:
        break;
    }
    const std::uint64_t closed_at = releases;
    const auto end = SteadyClock::now() + kWaitMax;
    while (releases == closed_at && SteadyClock::now() < end) {
        const bool go_on = co_await pause(exchange, kSlice);
        if (!go_on)
            co_return false;
    }
    co_return true;
}

// ---- sending

Task<bool> ReplayServer::State::send_pieces(http::Exchange& exchange, const Plan& plan) {
    auto begun = co_await exchange.begin_stream(plan.status, plan.fields, "");
    if (!begun)
        co_return false;
    const std::string_view body = plan.body;
    std::vector<std::string_view> pieces;
    if (plan.byte_by_byte)
        for (std::size_t i = 0; i < body.size(); ++i)
            pieces.push_back(body.substr(i, 1));
    else if (plan.stream)
        pieces = split_events(body);
    else
        pieces = {body.substr(0, body.size() / 2), body.substr(body.size() / 2)};
    const bool at_once = !plan.byte_by_byte && (token_time(1).count() == 0 || !plan.paced);
    const std::size_t middle = pieces.size() / 2;
    if (at_once) {
        const std::string_view first =
            body.substr(0, middle < pieces.size()
                               ? static_cast<std::size_t>(pieces[middle].data() - body.data())
                               : body.size());
        pieces = {first, body.substr(first.size())};
    }
    const microseconds gap = plan.byte_by_byte ? microseconds(kBytePause) : token_time(1);
    const std::size_t break_at = at_once ? 1 : middle;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        if (i == break_at) {
            const bool go_on = co_await happen(exchange, plan.middle, plan.wait);
            if (!go_on) {
                exchange.abort();
                co_return plan.middle == Plan::Event::kCut;
            }
        }
        if (i != 0 && !at_once) {
            const bool go_on = co_await pause(exchange, gap);
            if (!go_on)
                co_return false;
        }
        if (pieces[i].empty())
            continue;
        auto written = co_await exchange.write(pieces[i]);
        if (!written)
            co_return false;
    }
    auto ended = co_await exchange.end_stream();
    co_return ended.has_value();
}

Task<void> ReplayServer::State::send(http::Exchange& exchange, Plan plan) {
    exchange.watch_gone([] {});
    bool whole = co_await happen(exchange, plan.before, plan.wait);
    if (whole && plan.paced) {
        const std::size_t tokens = plan.stream ? 0 : plan.body.size() / 4;
        whole = co_await pause(exchange, settings.first_token + token_time(tokens));
    }
    if (!whole) {
        exchange.abort();
        whole = plan.before == Plan::Event::kCut;
    } else if (plan.stream || plan.byte_by_byte || plan.middle != Plan::Event::kNone) {
        whole = co_await send_pieces(exchange, plan);
    } else {
        http::Response response;
        response.status = plan.status;
        response.fields = std::move(plan.fields);
        response.body = std::move(plan.body);
        auto replied = co_await exchange.reply(std::move(response));
        whole = replied.has_value();
    }
    exchange.watch_gone(nullptr);
    end_call(whole);
}

// ---- deciding

Plan ReplayServer::State::plan(const Place& place, std::string_view body,
                               const http::Fields& fields) {
    auto document = json::parse(body);
    if (!document || !document->root().is(json::Kind::kObject))
        return plan_error(place.dialect, 400, "The body is not a JSON object.");
    const Asked asked{.place = place, .body = document->root(), .fields = &fields};
    if (const auto fault = fault_of(asked))
        return plan_fault(*fault, asked, count_fault(asked));
    return plan_answer(store, asked);
}

Task<void> ReplayServer::State::control(http::Exchange& exchange) {
    const std::string_view path = exchange.head().path;
    const bool is_post = exchange.head().method == http::Method::kPost;
    http::Response response = json_reply(200, "{}");
    if (path == "/replay/stats" && !is_post) {
        const std::lock_guard lock(mutex);
        response.body = write_stats(stats);
    } else if (path == "/replay/last" && !is_post) {
        const std::lock_guard lock(mutex);
        response.body = write_last(last);
    } else if (path == "/replay/reset" && is_post) {
        const std::lock_guard lock(mutex);
        const std::uint64_t active = stats.active;
        stats = Stats{.active = active};
        last = LastRequest{};
        fault_calls.clear();
    } else if (path == "/replay/release" && is_post) {
        ++releases;
    } else {
        response = json_reply(404, R"({"error":"no such control"})");
    }
    co_await exchange.reply(std::move(response));
}

Task<void> ReplayServer::State::handle_other(http::Exchange& exchange) {
    auto body = co_await exchange.read_body(kBodyMax);
    auto decided = plan_other(exchange.head().method_text, exchange.head().path,
                              body ? std::string_view(*body) : std::string_view());
    if (!body || !decided) {
        co_await exchange.reply(json_reply(
            404, error_answer(protocol::Dialect::kOpenAiChat, 404, "No such path here.")));
        co_return;
    }
    begin_call(exchange.head(), *body);
    count_source(decided->source);
    co_await send(exchange, *std::move(decided));
}

Task<void> ReplayServer::State::handle(http::Exchange& exchange) {
    if (exchange.head().path.starts_with("/replay/")) {
        co_await control(exchange);
        co_return;
    }
    const auto place = place_of(exchange.head().path);
    if (!place || exchange.head().method != http::Method::kPost) {
        co_await handle_other(exchange);
        co_return;
    }
    auto body = co_await exchange.read_body(kBodyMax);
    if (!body) {
        co_await exchange.reply(
            json_reply(400, error_answer(place->dialect, 400, "The body can't be read.")));
        co_return;
    }
    begin_call(exchange.head(), *body);
    Plan decided = plan(*place, *body, exchange.head().fields);
    count_source(decided.source);
    co_await send(exchange, std::move(decided));
}

// ---- the server

ReplayServer::ReplayServer(async::Runtime& runtime, ReplaySettings settings)
    : state_(std::make_shared<State>()) {
    http::ServerSettings server_settings;
    server_settings.listen = settings.listen;
    state_->settings = std::move(settings);
    State* state = state_.get(); // outlives the server that it owns
    state_->server = std::make_unique<http::Server>(
        runtime, std::move(server_settings),
        [state](http::Exchange& exchange) { return state->handle(exchange); },
        [](const Error& error) {
            http::Response response =
                json_reply(error.code == ErrorCode::kHeadTooLarge ? 431 : 400,
                           error_answer(protocol::Dialect::kOpenAiChat, 400, error.message));
            response.close = true;
            return response;
        });
}

ReplayServer::~ReplayServer() {
    stop();
}

Result<void> ReplayServer::start() {
    if (!state_->settings.recordings.empty()) {
        std::ifstream file(state_->settings.recordings, std::ios::binary);
        std::ostringstream content;
        if (!file || !(content << file.rdbuf()))
            return fail(ErrorCode::kNotFound, state_->settings.recordings + " can't be read");
        auto loaded = state_->store.load(content.view());
        if (!loaded)
            return std::unexpected(std::move(loaded).error().with(state_->settings.recordings));
    }
    if (auto loaded = state_->store.load(demo_exchanges()); !loaded)
        return std::unexpected(std::move(loaded).error().with("the built-in exchanges"));
    return state_->server->start();
}

std::string ReplayServer::address() const {
    return state_->server->address();
}

Stats ReplayServer::stats() const {
    const std::lock_guard lock(state_->mutex);
    return state_->stats;
}

std::size_t ReplayServer::exchanges() const {
    return state_->store.all().size();
}

void ReplayServer::stop() {
    if (!state_->stopping.exchange(true))
        state_->server->stop(milliseconds(1000));
}

} // namespace larder::replay
