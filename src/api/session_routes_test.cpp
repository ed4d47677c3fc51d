// Tests of the endpoints of sessions through a real server, on a store in memory that a test can
// let fail, or let somebody else change a session at the worst moment.
#include "api/session_routes.hpp"

#include "session/backends.hpp"
#include "testing/run_task.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace larder::api {
namespace {

using namespace std::chrono_literals;
using session::Lifetime;
using session::Owner;
using session::Reference;
using session::Session;
using ::testing::HasSubstr;
using testing::RawConnection;
using testing::run_there;

/// The store of a test, which does as the real one behind it but for what the test wants.
class Disturbed final : public session::Store {
public:
    explicit Disturbed(session::Store& real) : real_(real) {}

    std::atomic<int> competitors{0}; // so many changes come before ours
    std::atomic<bool> ends_first{false};
    std::atomic<bool> is_down{false};

    Task<Result<Session>> create(Owner owner, std::string data, Lifetime lifetime,
                                 async::TimeBudget& budget) override {
        if (is_down)
            co_return down();
        co_return co_await real_.create(std::move(owner), std::move(data), lifetime, budget);
    }
    Task<Result<Session>> read_and_refresh(Reference reference, Lifetime lifetime,
                                           async::TimeBudget& budget) override {
        if (is_down)
            co_return down();
        co_return co_await real_.read_and_refresh(std::move(reference), lifetime, budget);
    }
    Task<Result<Session>> replace(Reference reference, std::string data, Expected expected,
                                  Lifetime lifetime, async::TimeBudget& budget) override {
        if (ends_first.exchange(false))
            co_await real_.destroy(reference, std::nullopt, budget);
        if (competitors > 0) {
            const std::string theirs = "{\"theirs\":" + std::to_string(competitors--) + "}";
            co_await real_.replace(reference, theirs, std::nullopt, lifetime, budget);
        }
        co_return co_await real_.replace(std::move(reference), std::move(data), expected, lifetime,
                                         budget);
    }
    Task<Result<Session>> rotate(Reference reference, Expected expected, Lifetime lifetime,
                                 async::TimeBudget& budget) override {
        return real_.rotate(std::move(reference), expected, lifetime, budget);
    }
    Task<Result<void>> destroy(Reference reference, Expected expected,
                               async::TimeBudget& budget) override {
        return real_.destroy(std::move(reference), expected, budget);
    }
    Task<Result<std::vector<Session>>> list(Owner owner, async::TimeBudget& budget) override {
        return real_.list(std::move(owner), budget);
    }
    Task<Result<std::int64_t>> destroy_all(Owner owner, async::TimeBudget& budget) override {
        return real_.destroy_all(std::move(owner), budget);
    }
    [[nodiscard]] session::StoreHealth health() const override { return real_.health(); }
    void stop() override { real_.stop(); }

private:
    static std::unexpected<Error> down() {
        return fail(ErrorCode::kStore, "the session store is not available");
    }
    session::Store& real_;
};

class SessionRoutesTest : public ::testing::Test {
protected:
    SessionRoutesTest()
        : real_(session::make_sql_sessions({.clock = &clock_, .deadline = 20s})), store_(*real_),
          budget_(64UL << 20), routes_(store_, budget_), settings_(std::make_shared<Settings>()),
          runtime_(1), server_(
                           runtime_, {.listen = "127.0.0.1:0"},
                           [this](http::Exchange& exchange) { return handle(exchange); },
                           [](const Error&) { return http::Response{.status = 400}; }) {
        settings_->sessions.data_bytes_max = 200;
        EXPECT_TRUE(server_.start());
    }
    ~SessionRoutesTest() override {
        server_.stop(1s);
        runtime_.stop();
        real_->stop();
    }

    Task<void> handle(http::Exchange& exchange) {
        const http::RequestHead& head = exchange.head();
        std::string allow;
        Principal principal;
        principal.name_space = head.fields.find("x-namespace").value_or("default");
        Context context{.exchange = exchange,
                        .settings = settings_,
                        .route = find_route(head.method_text, head.path, allow),
                        .request_id = "r",
                        .principal = &principal,
                        .store_budget = async::TimeBudget(20s)};
        if (context.route != nullptr)
            co_await routes_.serve(context);
    }

    struct Reply {
        int status = 0;
        std::string head;
        std::string body;

        [[nodiscard]] std::string member(std::string_view name) const {
            const auto document = json::parse(body);
            const auto value = document ? document->root().find(name) : std::nullopt;
            return !value                           ? "absent"
                   : value->is(json::Kind::kString) ? *value->as_string()
                                                    : std::string(value->raw());
        }
    };
    Reply ask(std::string_view method, const std::string& target, const std::string& body = "",
              const std::string& fields = "") {
        RawConnection connection = RawConnection::to(server_.address());
        connection.send(std::string(method) + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" +
                        fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                        body);
        auto raw = connection.read_reply();
        Reply reply{.head = std::move(raw.head), .body = std::move(raw.body)};
        reply.status = std::atoi(reply.head.substr(9, 3).c_str());
        EXPECT_THAT(reply.head, HasSubstr("\r\nCache-Control: no-store\r\n"));
        return reply;
    }
    std::string create(const std::string& data = R"({"a":1})") {
        return "/sessions/" +
               ask("POST", "/sessions", R"({"userId":"ann","data":)" + data + "}").member("id");
    }

    ManualClock clock_{1'764'038'567'001};
    std::unique_ptr<session::Store> real_;
    Disturbed store_;
    MemoryBudget budget_;
    SessionRoutes routes_;
    std::shared_ptr<Settings> settings_;
    async::Runtime runtime_;
    http::Server server_;
};

TEST_F(SessionRoutesTest, CreateWithWhereItIsAndItsTag) {
    const Reply reply = ask("POST", "/sessions", R"({"userId":"ann","data":{"a":1}})");
    EXPECT_EQ(reply.status, 201);
    EXPECT_THAT(reply.head, HasSubstr("\r\nLocation: /sessions/" + reply.member("id") + "\r\n"));
    EXPECT_THAT(reply.head, HasSubstr("\r\nETag: \"1\"\r\n"));
    EXPECT_THAT(reply.head, HasSubstr("\r\nContent-Type: application/json\r\n"));
    EXPECT_EQ(reply.member("userId"), "ann");
    EXPECT_EQ(reply.member("data"), R"({"a":1})");
    EXPECT_EQ(reply.member("createdAt"), "2025-11-25T02:42:47.001Z");
    EXPECT_EQ(reply.member("expiresAt"), "2025-11-26T02:42:47.001Z");
}

TEST_F(SessionRoutesTest, ReadBeginsTheTimeAnew) {
    const std::string path = create();
    clock_.advance(1h);
    const Reply reply = ask("GET", path);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.member("createdAt"), "2025-11-25T02:42:47.001Z");
    EXPECT_EQ(reply.member("lastAccessedAt"), "2025-11-25T03:42:47.001Z");
    EXPECT_EQ(reply.member("expiresAt"), "2025-11-26T03:42:47.001Z");
    clock_.advance(24h);
    EXPECT_EQ(ask("GET", path).status, 404);
}

TEST_F(SessionRoutesTest, TakeTheLifetimeOfTheSettingsAtTheTime) {
    const std::string path = create();
    run_there(runtime_.context(0), [&] { settings_->sessions.lifetime = {.ttl = 1s}; });
    EXPECT_EQ(ask("GET", path).member("expiresAt"), "2025-11-25T02:42:48.001Z");
}

TEST_F(SessionRoutesTest, MergeAndReplace) {
    const std::string path = create(R"({"a":1,"b":{"c":2}})");
    const Reply merged = ask("PATCH", path, R"({"data":{"a":null,"b":{"d":3}}})");
    EXPECT_EQ(merged.status, 200);
    EXPECT_EQ(merged.member("data"), R"({"b":{"c":2,"d":3}})");
    EXPECT_THAT(merged.head, HasSubstr("\r\nETag: \"2\"\r\n"));
    const Reply replaced = ask("PUT", path, R"({"data":{"z":0}})");
    EXPECT_EQ(replaced.status, 200);
    EXPECT_EQ(replaced.member("data"), R"({"z":0})");
    EXPECT_EQ(replaced.member("version"), "3");
}

TEST_F(SessionRoutesTest, CompareTheVersion) {
    for (const std::string_view method : {"PUT", "PATCH"}) {
        const std::string path = create();
        const std::string body = R"({"data":{"b":2}})";
        for (const std::string_view stale : {"\"2\"", "W/\"1\"", "\"x\"", "\"2\", \"3\""})
            EXPECT_EQ(ask(method, path, body, "If-Match: " + std::string(stale) + "\r\n").status,
                      412);
        EXPECT_EQ(ask(method, path, body, "If-Match: 1\r\n").member("field"), "if-match");
        EXPECT_EQ(ask("GET", path).member("data"), R"({"a":1})") << "nothing was changed";
        EXPECT_EQ(ask(method, path, body, "If-Match: \"1\"\r\n").status, 200);
        const Reply late = ask(method, path, body, "If-Match: \"1\"\r\n");
        EXPECT_EQ(late.status, 412);
        EXPECT_EQ(late.member("code"), "conflict");
        EXPECT_EQ(ask(method, path, body, "If-Match: \"9\", \"2\"\r\n").status, 200);
        EXPECT_EQ(ask(method, path, body, "If-Match: \"8\"\r\nIf-Match: \"3\"\r\n").status, 200);
        EXPECT_EQ(ask(method, path, body, "If-Match: *\r\n").member("version"), "5");
    }
    const std::string path = create();
    EXPECT_EQ(ask("DELETE", path, "", "If-Match: \"2\"\r\n").status, 412);
    EXPECT_EQ(ask("POST", path + "/rotate", "", "If-Match: \"2\"\r\n").status, 412);
    EXPECT_EQ(ask("DELETE", path, "", "If-Match: \"1\"\r\n").status, 204);
}

TEST_F(SessionRoutesTest, MergeAgainWhenSomebodyElseWasFaster) {
    const std::string path = create();
    store_.competitors = 7;
    const Reply merged = ask("PATCH", path, R"({"data":{"ours":true}})");
    EXPECT_EQ(merged.status, 200);
    EXPECT_EQ(merged.member("data"), R"({"theirs":1,"ours":true})") << "nothing is lost";
    EXPECT_EQ(merged.member("version"), "9");
}

TEST_F(SessionRoutesTest, GiveUpAMergeThatIsAlwaysLate) {
    const std::string path = create();
    store_.competitors = 8;
    const Reply refused = ask("PATCH", path, R"({"data":{"ours":true}})");
    EXPECT_EQ(refused.status, 503);
    EXPECT_THAT(refused.head, HasSubstr("\r\nRetry-After: 1\r\n"));
    EXPECT_EQ(store_.competitors, 0);
    EXPECT_EQ(ask("GET", path).member("data"), R"({"theirs":1})");
}

TEST_F(SessionRoutesTest, DoNotMergeAgainWhatTheClientBoundToAVersion) {
    const std::string path = create();
    store_.competitors = 1;
    EXPECT_EQ(ask("PATCH", path, R"({"data":{"ours":true}})", "If-Match: \"1\"\r\n").status, 412);
    EXPECT_EQ(ask("GET", path).member("data"), R"({"theirs":1})");
}

TEST_F(SessionRoutesTest, NeverBringBackWhatEndsDuringAMerge) {
    const std::string path = create();
    store_.ends_first = true;
    EXPECT_EQ(ask("PATCH", path, R"({"data":{"ours":true}})").status, 404);
    EXPECT_EQ(ask("GET", path).status, 404);
    EXPECT_EQ(ask("GET", "/sessions?userId=ann").body, R"({"sessions":[]})");
}

TEST_F(SessionRoutesTest, RotateAndEnd) {
    const std::string path = create();
    const Reply rotated = ask("POST", path + "/rotate");
    EXPECT_EQ(rotated.status, 200);
    const std::string new_path = "/sessions/" + rotated.member("id");
    EXPECT_NE(new_path, path);
    EXPECT_THAT(rotated.head, HasSubstr("\r\nLocation: " + new_path + "\r\n"));
    EXPECT_EQ(rotated.member("data"), R"({"a":1})");
    EXPECT_EQ(ask("GET", path).status, 404);
    const Reply ended = ask("DELETE", new_path);
    EXPECT_EQ(ended.status, 204);
    EXPECT_EQ(ended.body, "");
    for (const std::string_view method : {"GET", "DELETE"})
        EXPECT_EQ(ask(method, new_path).status, 404);
    for (const std::string_view method : {"PUT", "PATCH"})
        EXPECT_EQ(ask(method, new_path, R"({"data":{}})").status, 404);
    EXPECT_EQ(ask("PUT", new_path, R"({"data":{}})", "If-Match: *\r\n").status, 404);
    EXPECT_EQ(ask("POST", new_path + "/rotate").status, 404);
}

TEST_F(SessionRoutesTest, ListAndEndAllOfAUser) {
    const std::string path = create();
    create();
    EXPECT_EQ(ask("POST", "/sessions", R"({"userId":"bob"})").status, 201);
    const Reply listed = ask("GET", "/sessions?userId=ann");
    EXPECT_EQ(listed.status, 200);
    EXPECT_EQ(json::parse(listed.body)->root().find("sessions")->size(), 2U);
    EXPECT_EQ(ask("DELETE", "/sessions").status, 400) << "nobody is named";
    EXPECT_EQ(ask("DELETE", "/sessions?userId=ann").body, R"({"ended":2})");
    EXPECT_EQ(ask("GET", path).status, 404);
    EXPECT_EQ(json::parse(ask("GET", "/sessions?userId=bob").body)->root().find("sessions")->size(),
              1U);
}

TEST_F(SessionRoutesTest, HideSessionsFromOtherNamespaces) {
    const std::string path = create();
    const std::string other = "X-Namespace: other\r\n";
    const std::string body = R"({"data":{}})";
    EXPECT_EQ(ask("GET", path, "", other).status, 404);
    EXPECT_EQ(ask("PUT", path, body, other).status, 404);
    EXPECT_EQ(ask("PATCH", path, body, other).status, 404);
    EXPECT_EQ(ask("POST", path + "/rotate", "", other).status, 404);
    EXPECT_EQ(ask("DELETE", path, "", other).status, 404);
    EXPECT_EQ(ask("GET", "/sessions?userId=ann", "", other).body, R"({"sessions":[]})");
    EXPECT_EQ(ask("DELETE", "/sessions?userId=ann", "", other).body, R"({"ended":0})");
    EXPECT_EQ(ask("GET", path).status, 200);
}

TEST_F(SessionRoutesTest, AskNoStoreForWhatIsNoId) {
    store_.is_down = true;
    for (const std::string id : {"x", "..", "%2e%2e", "{id}", "'--", "*"})
        EXPECT_EQ(ask("GET", "/sessions/" + id).status, 404) << id;
    EXPECT_EQ(ask("GET", "/sessions/" + std::string(59, '.')).status, 404);
    EXPECT_EQ(ask("GET", "/sessions/" + std::string(59, 'A')).status, 503);
}

TEST_F(SessionRoutesTest, SayWhenTheStoreIsDown) {
    const std::string path = create();
    store_.is_down = true;
    for (const Reply& refused : {ask("GET", path), ask("PATCH", path, R"({"data":{}})"),
                                 ask("POST", "/sessions", R"({"userId":"a"})")}) {
        EXPECT_EQ(refused.status, 503);
        EXPECT_EQ(refused.member("code"), "store_unavailable");
        EXPECT_THAT(refused.head, HasSubstr("\r\nRetry-After: 1\r\n"));
    }
}

TEST_F(SessionRoutesTest, RefuseWhatIsTooLarge) {
    const std::string path = create();
    const std::string large = R"({"data":{"a":")" + std::string(200, 'x') + R"("}})";
    EXPECT_EQ(ask("PUT", path, large).status, 413);
    EXPECT_EQ(ask("PATCH", path, large).status, 413);
    const std::string half = R"(:")" + std::string(100, 'x') + R"("}})";
    EXPECT_EQ(ask("PATCH", path, R"({"data":{"b")" + half).status, 200);
    const Reply refused = ask("PATCH", path, R"({"data":{"c")" + half);
    EXPECT_EQ(refused.status, 413);
    EXPECT_EQ(refused.member("field"), "data");
    const std::string spaces(20'000, ' ');
    EXPECT_EQ(ask("PUT", path, R"({"data":{}})" + spaces).status, 413) << "the body itself";
    EXPECT_EQ(ask("GET", path).member("version"), "2");
}

TEST_F(SessionRoutesTest, RefuseMembersThatTheyDoNotKnow) {
    const std::string path = create();
    for (const Reply& refused :
         {ask("POST", "/sessions", R"({"userId":"a","ttl":1})"),
          ask("PUT", path, R"({"data":{},"ttl":1})"), ask("PATCH", path, R"({"data":{},"ttl":1})"),
          ask("POST", path + "/rotate", R"({"ttl":1})")}) {
        EXPECT_EQ(refused.status, 400);
        EXPECT_EQ(refused.member("field"), "ttl");
        EXPECT_EQ(refused.member("code"), "invalid_request");
    }
    EXPECT_EQ(ask("PATCH", path, R"({"a":1)").status, 400);
}

} // namespace
} // namespace larder::api
