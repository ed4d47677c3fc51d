// Batches of inputs: which share an entry, what is asked for, and answers put together.
#include "gateway/embeddings.hpp"
#include "testing/gateway_parts.hpp"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>

namespace larder::gateway {
namespace {

using protocol::Dialect;

using End = std::shared_ptr<const FlightEnd>;

Task<void> fly(Gateway& gateway, EmbeddingsBatch& batch, Executor executor,
               std::promise<End>& ended) {
    const Gateway::Joined joined = gateway.join_vectors(batch, executor);
    Flight::News news;
    while (!news.end) {
        if (!joined.flight->poll(*joined.follower, news))
            co_await joined.follower->signal.wait();
    }
    joined.flight->leave(joined.follower);
    ended.set_value(std::move(news.end));
}

struct EmbeddingsTest : larder::testing::GatewayTest {

    EmbeddingsTest() {
        settings->catalog.providers = {{.name = "openai",
                                        .dialect = Dialect::kOpenAiChat,
                                        .base_url = "https://a.example/v1",
                                        .cache_identity = "openai https://a.example/v1"},
                                       {.name = "anthropic",
                                        .dialect = Dialect::kAnthropicMessages,
                                        .base_url = "https://b.example",
                                        .cache_identity = "anthropic https://b.example"}};
    }
    static Inquiry inquiry(std::string_view body) {
        return {.dialect = Dialect::kOpenAiEmbeddings,
                .body = body,
                .name_space = "web",
                .user = "ann"};
    }
    std::unique_ptr<EmbeddingsBatch> prepare(const Inquiry& asked) {
        auto batch = gateway.prepare_embeddings(settings, asked);
        EXPECT_TRUE(batch) << batch.error().message;
        return batch ? *std::move(batch) : std::make_unique<EmbeddingsBatch>();
    }
    /// The end of the batch's flight, where no provider can be reached and `vector` was kept
    /// between its look-up and its start.
    End end_with(std::string_view body, std::string_view vector) {
        settings->catalog.providers[0].base_url = "http://127.0.0.1:1/v1";
        settings->catalog.providers[0].retries = 0;
        const auto batch = prepare(inquiry(body));
        const auto kept = entry(vector, 1);
        kept->model = batch->prepared.target.model;
        kept->name_space = batch->prepared.name_space;
        kept->generations = batch->prepared.generations;
        kept->created_ms = kept->asked_ms = clock.epoch_ms();
        kept->fresh_until_ms = kept->stale_until_ms = clock.epoch_ms() + 60'000;
        memory.put(batch->elements[0].key, kept);
        std::promise<End> ended;
        const Executor executor = runtime.context(0).get_executor();
        async::spawn("test", executor, fly(gateway, *batch, executor, ended));
        return ended.get_future().get();
    }
    static std::shared_ptr<cache::Entry> entry(std::string_view vector, std::int64_t tokens) {
        auto made = std::make_shared<cache::Entry>();
        made->dialect = static_cast<std::uint8_t>(Dialect::kOpenAiEmbeddings);
        made->answer_model = "e-1";
        made->usage.input = tokens;
        made->cost.picodollars = tokens * 10;
        made->body = protocol::write_kept_vector({.call = "c", .vector = vector});
        return made;
    }
};

TEST_F(EmbeddingsTest, EqualInputsAreOneElementHoweverTheyAreWritten) {
    const auto batch = prepare(inquiry(R"({"model":"openai/e","input":["a","b","\u0061","b"]})"));
    ASSERT_EQ(batch->elements.size(), 2U);
    EXPECT_EQ(batch->places, (std::vector<std::uint32_t>{0, 1, 0, 1}));
    EXPECT_EQ(batch->elements[1].place, 1U);
    const auto alone = prepare(inquiry(R"({"input":"b","model":"openai/e"})"));
    EXPECT_EQ(alone->elements[0].key, batch->elements[1].key);
}

TEST_F(EmbeddingsTest, KeysDifferByNamespaceVariantAndModel) {
    constexpr std::string_view kBody = R"({"model":"openai/e","input":"a"})";
    const auto expected = prepare(inquiry(kBody))->elements[0].key;
    Inquiry other = inquiry(kBody);
    other.name_space = "app";
    EXPECT_NE(prepare(other)->elements[0].key, expected);
    other = inquiry(kBody);
    other.directives.variant = "b";
    EXPECT_NE(prepare(other)->elements[0].key, expected);
    EXPECT_NE(prepare(inquiry(R"({"model":"openai/f","input":"a"})"))->elements[0].key, expected);
}

TEST_F(EmbeddingsTest, NothingIsSharedUnderNoStoreOrARuleThatSaysSo) {
    Inquiry apart = inquiry(R"({"model":"openai/e","input":["a","a"]})");
    apart.directives.no_store = true;
    const auto unshared = prepare(apart);
    ASSERT_TRUE(unshared);
    EXPECT_TRUE(unshared->elements.empty());
    settings->cache.rules = {{.api = "openai", .model = "e*", .mode = RuleMode::kOff}};
    const auto ruled_out = prepare(inquiry(R"({"model":"openai/e","input":"a"})"));
    ASSERT_TRUE(ruled_out);
    EXPECT_FALSE(ruled_out->prepared.may_join);
    const auto other = prepare(inquiry(R"({"model":"openai/f","input":"a"})"));
    ASSERT_TRUE(other);
    EXPECT_TRUE(other->prepared.may_join);
}

TEST_F(EmbeddingsTest, AProviderOfAnotherApiIsRefusedByItsModel) {
    const auto refused = gateway.prepare_embeddings(
        settings, inquiry(R"({"model":"anthropic/claude","input":"a"})"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().field, "model");
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest);
}

TEST_F(EmbeddingsTest, TakesWhatCameAndWritesItInOrder) {
    const auto batch = prepare(inquiry(R"({"model":"openai/e","input":["a","b","a"]})"));
    batch->asked = {0, 1};
    const std::vector<cache::EntryPtr> one{entry(R"({"embedding":[1]})", 2)};
    EXPECT_FALSE(gateway.take_asked(*batch, one));
    const std::vector<cache::EntryPtr> both{entry(R"({"embedding":[1,0.5]})", 2),
                                            entry(R"({"embedding":"AAAAQAAAgD8="})", 3)};
    ASSERT_TRUE(gateway.take_asked(*batch, both));
    EXPECT_TRUE(batch->is_complete());
    EXPECT_EQ(batch->hits(), 3U);
    EXPECT_EQ(batch->cost(true).picodollars, 50);
    const auto answer = write_answer(*batch);
    ASSERT_TRUE(answer);
    EXPECT_EQ(*answer, R"({"object":"list","data":[{"index":0,"embedding":[1,0.5]},)"
                       R"({"index":1,"embedding":[2,1]},{"index":2,"embedding":[1,0.5]}],)"
                       R"("model":"e-1","usage":{"prompt_tokens":7,"total_tokens":7}})");
}

TEST_F(EmbeddingsTest, AnEntryThatIsNoVectorIsNone) {
    const auto batch = prepare(inquiry(R"({"model":"openai/e","input":"a"})"));
    batch->asked = {0};
    auto other = std::make_shared<cache::Entry>();
    other->dialect = static_cast<std::uint8_t>(Dialect::kOpenAiEmbeddings);
    other->body = "{}";
    const std::vector<cache::EntryPtr> odd{other};
    EXPECT_FALSE(gateway.take_asked(*batch, odd));
    EXPECT_FALSE(write_answer(*batch));
    const std::vector<cache::EntryPtr> infinite{entry(R"({"embedding":"AACAfw=="})", 1)};
    EXPECT_FALSE(gateway.take_asked(*batch, infinite)); // it can't be shown as numbers
}

TEST_F(EmbeddingsTest, AFlightTakesWhatWasKeptMeanwhileOnlyIfItCanBeShownAsItIsAskedFor) {
    constexpr std::string_view kNumbers = R"({"model":"openai/e","input":"a"})";
    constexpr std::string_view kBase64 =
        R"({"model":"openai/e","input":"a","encoding_format":"base64"})";
    EXPECT_TRUE(end_with(kNumbers, R"({"embedding":"AACAPw=="})")->from_cache);
    EXPECT_TRUE(end_with(kBase64, R"({"embedding":[1]})")->from_cache);
    EXPECT_TRUE(end_with(kNumbers, R"({"embedding":[1e39]})")->from_cache);
    for (const std::string_view odd : {"AADAfw==", "AQID"}) // no number; three bytes
        EXPECT_FALSE(end_with(kNumbers, "{\"embedding\":\"" + std::string(odd) + "\"}")->from_cache)
            << odd;
    EXPECT_FALSE(end_with(kBase64, R"({"embedding":[1e39]})")->from_cache);
}

} // namespace
} // namespace larder::gateway
