// An OpenAI-like provider for tests, which says what a function of the test says, plain or
// streamed, and remembers what it was asked.
#pragma once

#include "async/runtime.hpp"
#include "async/signal.hpp"
#include "base/json.hpp"
#include "http/server.hpp"
#include "http/sse.hpp"
#include "testing/tcp.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace larder::testing {

struct ChatAnswer {
    std::string text;
    int status = 200;
    bool hangs = false; // until the client goes
    std::int64_t input_tokens = 10;
    std::int64_t output_tokens = 5;
};

/// What was asked.
struct ChatQuestion {
    std::string body;
    std::string system;
    std::string prompt; // the last message
    std::size_t messages = 0;
    bool stream = false;
};

class ChatProvider {
public:
    /// `answer` is called on the provider's thread. By default the prompt comes back.
    using Answer = std::function<ChatAnswer(const ChatQuestion&)>;

    explicit ChatProvider(Answer answer = nullptr)
        : answer_(std::move(answer)), runtime_(1),
          server_(
              runtime_, settings(), [this](http::Exchange& exchange) { return serve(exchange); },
              [](const Error& error) {
                  return http::Response{.status = 400, .body = error.message};
              }) {
        if (const auto started = server_.start(); !started)
            std::abort();
    }
    ~ChatProvider() {
        server_.stop(std::chrono::milliseconds(0));
        runtime_.stop();
    }
    ChatProvider(const ChatProvider&) = delete;
    ChatProvider& operator=(const ChatProvider&) = delete;

    [[nodiscard]] std::string base_url() const { return "http://" + server_.address() + "/v1"; }
    [[nodiscard]] std::vector<ChatQuestion> questions() const {
        const std::lock_guard lock(mutex_);
        return questions_;
    }
    [[nodiscard]] std::size_t calls() const { return questions().size(); }
    /// The most that were under way at once.
    [[nodiscard]] int most_at_once() const { return most_; }
    [[nodiscard]] int under_way() const { return under_way_; }
    /// Answers are given only when so many calls are under way at once.
    void gather(int calls) { gathered_ = calls; }

private:
    static http::ServerSettings settings() {
        http::ServerSettings settings;
        settings.listen = "127.0.0.1:0";
        return settings;
    }

    static ChatQuestion read(std::string body) {
        ChatQuestion question;
        const auto document = json::parse(body);
        if (!document)
            return question;
        if (const auto stream = document->root().find("stream"))
            question.stream = stream->as_bool().value_or(false);
        if (const auto messages = document->root().find("messages")) {
            question.messages = messages->size();
            messages->for_each_element([&question](json::Value message) {
                const auto content = message.find("content");
                const auto text = content ? content->as_string().value_or("") : std::string();
                const auto role = message.find("role");
                if (role && role->as_string() == "system")
                    question.system = text;
                question.prompt = text;
                return true;
            });
        }
        question.body = std::move(body);
        return question;
    }

    static std::string quoted(std::string_view text) {
        std::string out;
        json::write_string(out, text);
        return out;
    }

    static std::string usage_of(const ChatAnswer& answer) {
        return R"("usage":{"prompt_tokens":)" + std::to_string(answer.input_tokens) +
               R"(,"completion_tokens":)" + std::to_string(answer.output_tokens) +
               R"(,"total_tokens":)" + std::to_string(answer.input_tokens + answer.output_tokens) +
               "}";
    }

    static std::string plain(const ChatAnswer& answer) {
        if (answer.status != 200)
            return R"({"error":{"message":"no","type":"server_error"}})";
        return R"({"id":"c1","object":"chat.completion","created":1,"model":"m-1","choices":)"
               R"([{"index":0,"message":{"role":"assistant","content":)" +
               quoted(answer.text) + R"(},"finish_reason":"stop"}],)" + usage_of(answer) + "}";
    }

    static std::string chunk(std::string_view delta, std::string_view finish,
                             std::string_view more) {
        std::string out;
        http::write_sse(out, "",
                        R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"m-1",)"
                        R"("choices":[{"index":0,"delta":)" +
                            std::string(delta) + R"(,"finish_reason":)" + std::string(finish) +
                            "}]" + std::string(more) + "}");
        return out;
    }

    static Task<void> stream(http::Exchange& exchange, ChatAnswer answer) {
        co_await exchange.begin_stream(200, {{"Content-Type", "text/event-stream"}}, "");
        const std::size_t half = answer.text.size() / 2;
        for (const std::string& part : {answer.text.substr(0, half), answer.text.substr(half)})
            co_await exchange.write(chunk(R"({"content":)" + quoted(part) + "}", "null", ""));
        co_await exchange.write(chunk("{}", "\"stop\"", "," + usage_of(answer)));
        co_await exchange.write("data: [DONE]\n\n");
        co_await exchange.end_stream();
    }

    static Task<void> hang(http::Exchange& exchange) {
        async::Signal signal(exchange.executor());
        exchange.watch_gone([&signal] { signal.notify(); });
        while (!exchange.gone())
            co_await signal.wait();
        exchange.watch_gone(nullptr);
        exchange.abort();
    }

    /// Until enough calls are under way, once.
    Task<void> wait_for_others(http::Exchange& exchange) {
        async::Signal signal(exchange.executor());
        waiting_.push_back(&signal);
        if (static_cast<int>(waiting_.size()) >= gathered_) {
            for (async::Signal* const one : waiting_)
                one->notify();
            waiting_.clear();
            gathered_ = 0;
        }
        co_await signal.wait();
    }

    Task<void> serve(http::Exchange& exchange) {
        auto body = co_await exchange.read_body(64UL << 20);
        if (!body) {
            exchange.abort();
            co_return;
        }
        ChatQuestion question = read(*std::move(body));
        {
            const std::lock_guard lock(mutex_);
            questions_.push_back(question);
        }
        const int under_way = ++under_way_;
        most_ = std::max(most_.load(), under_way);
        if (gathered_ > 0)
            co_await wait_for_others(exchange);
        ChatAnswer answer = answer_ ? answer_(question) : ChatAnswer{.text = question.prompt};
        if (answer.hangs)
            co_await hang(exchange);
        else if (question.stream && answer.status == 200)
            co_await stream(exchange, std::move(answer));
        else
            co_await exchange.reply({.status = answer.status,
                                     .fields = {{"Content-Type", "application/json"}},
                                     .body = plain(answer)});
        --under_way_;
    }

    Answer answer_;
    mutable std::mutex mutex_;
    std::vector<ChatQuestion> questions_;
    std::vector<async::Signal*> waiting_;
    std::atomic<int> gathered_ = 0;
    std::atomic<int> under_way_ = 0;
    std::atomic<int> most_ = 0;
    async::Runtime runtime_;
    http::Server server_;
};

} // namespace larder::testing
