// `larder demo`: a provider of its own, a Larder in front of it, a dozen requests asked twice, and
// a table.
#include "app/commands.hpp"
#include "app/config.hpp"
#include "app/wiring.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "replay/replay_server.hpp"

#include <chrono>
#include <cstdio>
#include <future>

namespace larder::app {
namespace {

constexpr std::chrono::milliseconds kFirstToken{250};
constexpr double kTokensPerSecond = 400;
constexpr std::chrono::seconds kLongest{10};

struct Reply {
    std::string body;
    std::string cache;
    std::int64_t took_us = 0;
};

/// Asks the server at `origin` once, on the client's thread.
Task<void> ask(http::Client& client, http::Origin origin, std::string body,
               std::shared_ptr<std::promise<Result<Reply>>> promise) {
    Reply reply;
    const std::int64_t begin = SystemClock().steady_us();
    auto call = client.call(origin, {});
    auto sent = co_await call->send({.target = "/llm/generate",
                                     .fields = {{"Content-Type", "application/json"}},
                                     .body = body});
    if (!sent) {
        promise->set_value(std::unexpected(std::move(sent).error()));
        co_return;
    }
    while (true) {
        auto more = co_await call->read(reply.body);
        if (!more) {
            promise->set_value(std::unexpected(std::move(more).error()));
            co_return;
        }
        if (!*more)
            break;
    }
    reply.took_us = SystemClock().steady_us() - begin;
    reply.cache = call->head().fields.find("x-larder-cache").value_or("?");
    if (call->head().status != 200)
        promise->set_value(
            fail(ErrorCode::kInternal,
                 "status " + std::to_string(call->head().status) + ": " + reply.body));
    else
        promise->set_value(std::move(reply));
}

class Asker {
public:
    explicit Asker(const std::string& address) : runtime_(1), client_(runtime_.context(0), {}) {
        origin_ = http::parse_base_url("http://" + address)->origin;
    }
    ~Asker() {
        std::promise<void> closed;
        asio::post(runtime_.context(0), [&] {
            client_.close_idle();
            closed.set_value();
        });
        closed.get_future().wait();
        runtime_.stop();
    }
    Result<Reply> post(const std::string& body) {
        auto promise = std::make_shared<std::promise<Result<Reply>>>();
        auto future = promise->get_future();
        async::spawn("demo", runtime_.context(0).get_executor(),
                     ask(client_, origin_, body, promise));
        if (future.wait_for(kLongest) != std::future_status::ready)
            return fail(ErrorCode::kTimeout, "no answer within 10 s");
        return future.get();
    }

private:
    async::Runtime runtime_;
    http::Client client_;
    http::Origin origin_;
};

struct Figures {
    std::int64_t tokens = 0;
    double cost = 0;
};

/// From a plain reply, or from the last event of a stream.
Figures figures_of(std::string_view body) {
    constexpr std::string_view kDone = "event: done\ndata: ";
    if (const std::size_t done = body.find(kDone); done != std::string_view::npos)
        body = body.substr(done + kDone.size());
    const auto document = json::parse(body);
    if (!document)
        return {};
    const auto metadata = document->root().find("metadata");
    if (!metadata)
        return {};
    const auto tokens = metadata->find("estimatedTokens");
    const auto cost = metadata->find("estimatedCost");
    return {.tokens = tokens ? tokens->as_int().value_or(0) : 0,
            .cost = cost ? cost->as_double().value_or(0) : 0};
}

std::string configuration(const std::string& provider) {
    return "server: { listen: \"127.0.0.1:0\", threads: 1 }\n"
           "providers:\n"
           "  openai: { api: openai, base_url: \"http://" +
           provider +
           "/openai/v1\", vendor: openai }\n"
           "  anthropic: { api: anthropic, base_url: \"http://" +
           provider +
           "/anthropic\", vendor: anthropic }\n"
           "store: { kind: memory }\n"
           "limits: { llm: { max: 1000, window: 60s } }\n";
}

int fail_with(const Error& error) {
    std::fprintf(stderr, "demo: %s\n", error.message.c_str());
    return 1;
}

int run_table(Asker& asker, const Larder& larder) {
    std::printf("%-44s %10s %10s %8s %12s\n", "request", "miss", "hit", "tokens", "saved");
    double saved = 0;
    for (const replay::DemoRequest& request : replay::demo_requests()) {
        const auto miss = asker.post(request.body);
        if (!miss)
            return fail_with(miss.error());
        const auto hit = asker.post(request.body);
        if (!hit)
            return fail_with(hit.error());
        if (miss->cache != "miss" || hit->cache != "hit")
            return fail_with({.message = "the cache said " + miss->cache + ", then " + hit->cache});
        const Figures figures = figures_of(hit->body);
        saved += figures.cost;
        std::printf("%-44.44s %7.1f ms %7.0f us %8lld %12.6f\n", request.title.c_str(),
                    static_cast<double>(miss->took_us) / 1000, static_cast<double>(hit->took_us),
                    static_cast<long long>(figures.tokens), figures.cost);
    }
    std::printf("\nsaved $%.6f; %s answered every second request without its provider\n", saved,
                larder.address().c_str());
    return 0;
}

} // namespace

int run_demo() {
    log::set_level(log::Level::kFatal);
    async::Runtime runtime(1);
    replay::ReplayServer provider(
        runtime, {.first_token = kFirstToken, .tokens_per_second = kTokensPerSecond});
    if (auto started = provider.start(); !started)
        return fail_with(started.error());
    const Environment environment{
        .variable = [](std::string_view) { return std::optional<std::string>(); }};
    auto config = read_config(configuration(provider.address()), "demo", environment);
    if (!config)
        return fail_with(config.error());
    int status = 0;
    {
        Larder larder(*std::move(config), environment);
        if (auto started = larder.start(); !started)
            return fail_with(started.error());
        Asker asker(larder.address());
        status = run_table(asker, larder);
    }
    provider.stop();
    return status;
}

} // namespace larder::app
