// Batches of inputs: which share an entry, what is asked for, and answers put together.
#include "gateway/embeddings.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace larder::gateway {
namespace {

using protocol::Dialect;

struct EmbeddingsTest : testing::Test {
    async::Runtime runtime{1};
    ManualClock clock;
    cache::MemoryStore memory{1 << 20};
    PurgeTable purges;
    FillEpochs epochs;
    ledger::Ledger ledger{nullptr};
    MemoryBudget budget{1 << 20};
    Gateway gateway{{.runtime = runtime,
                     .clock = clock,
                     .memory = memory,
                     .purges = purges,
                     .epochs = epochs,
                     .ledger = ledger,
                     .budget = budget,
                     .proxy = {}}};
    std::shared_ptr<Settings> settings = std::make_shared<Settings>();

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
    static cache::EntryPtr entry(std::string_view vector, std::int64_t tokens) {
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
    EXPECT_TRUE(prepare(apart)->elements.empty());
    settings->cache.rules = {{.api = "openai", .model = "e*", .mode = RuleMode::kOff}};
    EXPECT_FALSE(prepare(inquiry(R"({"model":"openai/e","input":"a"})"))->prepared.may_join);
    EXPECT_TRUE(prepare(inquiry(R"({"model":"openai/f","input":"a"})"))->prepared.may_join);
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

} // namespace
} // namespace larder::gateway
