// The contract of the second tier, on every backend: a file, a Redis, a Redis Cluster, an Upstash.
#include "testing/cache_node.hpp"
#include "testing/redis_cluster.hpp"
#include "testing/upstash_server.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>

namespace larder::cache {
namespace {

using testing::cache_key;
using testing::eventually;

enum class Backend : std::uint8_t { kSqlite, kRedis, kCluster, kUpstash };

constexpr const char* name_of(Backend backend) {
    constexpr const char* kNames[] = {"Sqlite", "Redis", "Cluster", "Upstash"};
    return kNames[static_cast<std::size_t>(backend)];
}

/// Servers are slow to start: one of each for all tests, which have prefixes of their own.
struct Servers {
    std::unique_ptr<testing::RedisServer> redis;
    std::unique_ptr<testing::RedisCluster> cluster;
    std::unique_ptr<testing::UpstashServer> upstash;
};

class StoreContract : public ::testing::TestWithParam<Backend> {
protected:
    static void SetUpTestSuite() { servers_ = std::make_unique<Servers>(); }
    static void TearDownTestSuite() { servers_.reset(); }

    StoreContract() : runtime_(2), prefix_("test-" + std::to_string(random_u64())) {
        auto name = (std::filesystem::temp_directory_path() / "contract-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        open();
    }
    ~StoreContract() override {
        close();
        std::filesystem::remove_all(directory_);
    }

    /// A store as the next start of the program finds it.
    void reopen() {
        close();
        purges_ = {};
        open();
    }
    void open() {
        if (GetParam() == Backend::kSqlite) {
            SqlStoreSettings settings;
            settings.path = directory_ / "larder.db";
            settings.clock = &clock_;
            settings.flush_interval = Milliseconds(5);
            settings.get_deadline = Milliseconds(20'000);
            settings.on_purges = told();
            store_ = make_sql_store(std::move(settings));
            return;
        }
        client_ = make_client();
        ASSERT_TRUE(eventually([this] { return client_->health().ok; }));
        RedisStoreSettings settings;
        settings.prefix = prefix_;
        settings.clock = &clock_;
        settings.within = std::chrono::seconds(20);
        settings.write_within = Milliseconds(20'000);
        settings.on_purges = told();
        store_ = make_redis_store(*client_, runtime_, std::move(settings));
    }
    void close() {
        store_->stop();
        if (client_ != nullptr)
            client_->stop();
        store_.reset();
        client_.reset();
    }
    std::unique_ptr<redis::Client> make_client() {
        Servers& servers = *servers_;
        if (GetParam() == Backend::kUpstash) {
            if (servers.upstash == nullptr)
                servers.upstash = std::make_unique<testing::UpstashServer>();
            return *redis::make_upstash_client(
                runtime_, {.url = servers.upstash->url(), .token = servers.upstash->token()});
        }
        std::string url;
        if (GetParam() == Backend::kCluster) {
            if (servers.cluster == nullptr)
                servers.cluster = std::make_unique<testing::RedisCluster>();
            url = servers.cluster->url();
        } else {
            if (servers.redis == nullptr)
                servers.redis = std::make_unique<testing::RedisServer>();
            url = servers.redis->url();
        }
        return *redis::make_redis_client(runtime_, {.url = redis::parse_url(url).value()});
    }
    std::function<void(std::span<const Purge>)> told() {
        return [this](std::span<const Purge> purges) {
            const std::lock_guard lock(mutex_);
            for (const Purge& purge : purges)
                purges_.merge(purge);
        };
    }

    std::shared_ptr<Entry> entry_of(std::string_view body, std::int64_t lives_ms = 600'000) {
        auto entry = std::make_shared<Entry>();
        entry->asked_ms = clock_.epoch_ms();
        entry->created_ms = clock_.epoch_ms();
        entry->fresh_until_ms = clock_.epoch_ms() + lives_ms / 2;
        entry->stale_until_ms = clock_.epoch_ms() + lives_ms;
        entry->name_space = "default";
        entry->model = "gpt-4o-mini";
        entry->usage.input = 12;
        entry->body = body;
        return entry;
    }
    void put(std::uint64_t number, std::string_view body) {
        store_->put(cache_key(number), entry_of(body));
    }
    EntryPtr get(std::uint64_t number) {
        if (!store_->may_have(cache_key(number)))
            return nullptr;
        auto got = testing::run(runtime_.context(number % 2), store_->get(cache_key(number)));
        EXPECT_TRUE(got) << got.error().message;
        return got ? *got : nullptr;
    }
    std::string body(std::uint64_t number) {
        const auto entry = get(number);
        return entry == nullptr ? "-" : std::string(entry->body.view());
    }
    [[nodiscard]] bool comes(std::uint64_t number, std::string_view expected) {
        return eventually([&] { return body(number) == expected; });
    }
    [[nodiscard]] std::uint64_t purge_of(const PurgeScope& scope) {
        const std::lock_guard lock(mutex_);
        return purges_.of(scope);
    }
    static Task<Result<Lookup>> look_up_there(Store& store, llm::Fingerprint key, bool leads) {
        async::TimeBudget budget(std::chrono::seconds(20));
        co_return co_await store.look_up(key, leads, budget);
    }
    Result<Lookup> look_up(std::uint64_t number, bool wants_lease = true) {
        return testing::run(runtime_.context(0),
                            look_up_there(*store_, cache_key(number), wants_lease));
    }

    static inline std::unique_ptr<Servers> servers_;
    std::mutex mutex_;
    PurgeSet purges_;
    ManualClock clock_;
    async::Runtime runtime_;
    const std::string prefix_;
    std::filesystem::path directory_;
    std::unique_ptr<redis::Client> client_;
    std::unique_ptr<Store> store_;
};

TEST_P(StoreContract, GivesBackWhatWasPut) {
    std::mt19937 random(3);
    std::string noise(10'000, '\0');
    for (char& c : noise)
        c = static_cast<char>(random());
    const std::map<std::uint64_t, std::string> bodies{
        {1, "small"}, {2, ""}, {3, std::string(50'000, 'x')}, {4, noise}, {5, "\xff\xfe\n\r\0"}};
    for (const auto& [number, text] : bodies)
        put(number, text);
    for (const auto& [number, text] : bodies) {
        ASSERT_TRUE(comes(number, text)) << number;
        EXPECT_EQ(encode_entry(*get(number)), encode_entry(*entry_of(text)));
    }
    EXPECT_EQ(body(6), "-");
    EXPECT_EQ(store_->dropped_writes(), 0U);
}

TEST_P(StoreContract, KeepsEntriesForTheNextStart) {
    put(1, "kept");
    reopen();
    EXPECT_TRUE(comes(1, "kept"));
}

TEST_P(StoreContract, ALaterAnswerTakesThePlace) {
    put(1, "first");
    ASSERT_TRUE(comes(1, "first"));
    clock_.advance(Milliseconds(5));
    put(1, "second");
    EXPECT_TRUE(comes(1, "second"));
}

TEST_P(StoreContract, ErasesAKeyAndNoOther) {
    put(1, "one");
    put(2, "two");
    ASSERT_TRUE(comes(1, "one") && comes(2, "two"));
    store_->erase(cache_key(1));
    EXPECT_TRUE(comes(1, "-"));
    EXPECT_EQ(body(2), "two");
}

TEST_P(StoreContract, GivesStaleEntriesAndNoneThatAreOver) {
    put(1, "body");
    ASSERT_TRUE(comes(1, "body"));
    clock_.advance(Milliseconds(300'001)); // no longer fresh
    EXPECT_EQ(body(1), "body");
    clock_.advance(Milliseconds(300'000));
    EXPECT_TRUE(comes(1, "-"));
}

TEST_P(StoreContract, LooksUpAsItGets) {
    put(1, "body");
    ASSERT_TRUE(comes(1, "body"));
    for (const bool wants_lease : {false, true}) {
        const auto found = look_up(1, wants_lease);
        ASSERT_TRUE(found && found->entry);
        EXPECT_EQ(found->entry->body, "body");
        EXPECT_TRUE(found->lease.empty() && found->holder.empty());
    }
    const auto missed = look_up(2);
    ASSERT_TRUE(missed);
    EXPECT_EQ(missed->entry, nullptr);
    EXPECT_EQ(missed->lease.empty(), !store_->has_leases());
    const auto again = look_up(2);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->holder, missed->lease);
    store_->put_leased(cache_key(2), entry_of("answer"), missed->lease);
    EXPECT_TRUE(comes(2, "answer"));
}

TEST_P(StoreContract, TellsTheNextStartOfPurges) {
    const PurgeScope model{PurgeKind::kModel, "gpt-4o \xC3\xA4"};
    const PurgeScope name_space{PurgeKind::kNamespace, "team one"};
    store_->purged(model, 1000);
    store_->purged(name_space, 2000);
    reopen();
    EXPECT_TRUE(
        eventually([&] { return purge_of(model) == 1000 && purge_of(name_space) == 2000; }));
    store_->purged({}, 3000);
    reopen();
    EXPECT_TRUE(eventually([&] { return purge_of(model) == 3000; }));
}

TEST_P(StoreContract, IsWell) {
    put(1, "body");
    ASSERT_TRUE(comes(1, "body"));
    EXPECT_TRUE(store_->health().ok) << store_->health().reason;
    EXPECT_EQ(store_->health().reason, "");
}

INSTANTIATE_TEST_SUITE_P(Every, StoreContract,
                         ::testing::Values(Backend::kSqlite, Backend::kRedis, Backend::kCluster,
                                           Backend::kUpstash),
                         [](const auto& one) { return name_of(one.param); });

} // namespace
} // namespace larder::cache
