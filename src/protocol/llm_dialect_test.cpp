// Replies of the /llm dialect, the code in them, and masked error texts.
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

ReplyMetadata some_metadata() {
    ReplyMetadata metadata;
    metadata.model = "gpt-4o";
    metadata.provider = "openai";
    metadata.cached = true;
    metadata.usage = {.input = 300,
                      .cached_input = 90,
                      .cache_write = 5,
                      .cache_write_1h = 5,
                      .output = 100,
                      .reasoning = 30,
                      .exact = true};
    metadata.cost.picodollars = 10'000'000'000;
    metadata.finish_reason = "stop";
    return metadata;
}

TEST(LlmReply, HasTheContractsFields) {
    EXPECT_EQ(
        write_llm_reply("Hi \"you\"\n", some_metadata()),
        R"({"code":"Hi \"you\"\n","text":"Hi \"you\"\n","metadata":{"model":"gpt-4o",)"
        R"("provider":"openai","cached":true,"estimatedTokens":500,"estimatedCost":0.01,)"
        R"("priced":true,"finishReason":"stop","usage":{"inputTokens":400,"outputTokens":100,)"
        R"("cachedInputTokens":90,"cacheWriteTokens":10,"reasoningTokens":30,"totalTokens":500,)"
        R"("exact":true}}})");
}

TEST(LlmReply, NamesTheRequestAndAMissingPrice) {
    ReplyMetadata metadata = some_metadata();
    metadata.request_id = "req-1";
    metadata.priced = false;
    metadata.cost = {};
    const std::string reply = write_llm_reply("a", metadata);
    EXPECT_NE(reply.find(R"("estimatedCost":0,"priced":false)"), std::string::npos) << reply;
    EXPECT_TRUE(reply.ends_with(R"(,"requestId":"req-1"}})")) << reply;
    EXPECT_TRUE(json::parse(reply));
}

TEST(LlmReply, PutsTheCodeApart) {
    const std::string reply = write_llm_reply("See:\n```js\nlet a;\n```\nDone", some_metadata());
    EXPECT_TRUE(reply.starts_with(R"({"code":"let a;","text":"See:\n```js\nlet a;\n```\nDone")"))
        << reply;
}

TEST(LlmStream, WritesDeltasAndTheEnd) {
    std::string out;
    write_llm_delta(out, "a\n\"b\"");
    write_llm_done(out, R"({"code":"c"})");
    EXPECT_EQ(out, "event: delta\ndata: {\"text\":\"a\\n\\\"b\\\"\"}\n\n"
                   "event: done\ndata: {\"code\":\"c\"}\n\n");
}

TEST(ExtractCode, GivesTheWholeTextWithoutABlock) {
    EXPECT_EQ(extract_code("no code `at all`"), "no code `at all`");
    EXPECT_EQ(extract_code(""), "");
    EXPECT_EQ(extract_code("not ```a fence``` here"), "not ```a fence``` here");
    EXPECT_EQ(extract_code("```inline``` code"), "```inline``` code");
}

TEST(ExtractCode, GivesTheOneBlock) {
    EXPECT_EQ(extract_code("a\n```cpp\nint x;\nint y;\n```\nb"), "int x;\nint y;");
    EXPECT_EQ(extract_code("~~~ text with `ticks`\nx\n~~~\n"), "x");
    EXPECT_EQ(extract_code("```\r\nx\r\ny\r\n```\r\n"), "x\ny");
    EXPECT_EQ(extract_code("```\n```"), "");
    EXPECT_EQ(extract_code("```\n\nx\n\n```"), "\nx\n");
}

TEST(ExtractCode, JoinsSeveralByABlankLine) {
    EXPECT_EQ(extract_code("```\na\n```\ntext\n~~~\nb\n~~~"), "a\n\nb");
}

TEST(ExtractCode, ClosesOnlyWithAFenceOfItsKindAndLength) {
    EXPECT_EQ(extract_code("````md\n```js\nx\n```\n````\nend"), "```js\nx\n```");
    EXPECT_EQ(extract_code("```\n~~~\nx\n```"), "~~~\nx");
    EXPECT_EQ(extract_code("```\nx\n``` not closed\ny\n`````  \nz"), "x\n``` not closed\ny");
}

TEST(ExtractCode, RunsToTheEndWhenItIsNotClosed) {
    EXPECT_EQ(extract_code("a\n```js\nx\ny"), "x\ny");
    EXPECT_EQ(extract_code("```"), "");
}

TEST(ExtractCode, TakesTheFencesIndentOffItsLines) {
    EXPECT_EQ(extract_code("  ```\n  a\n    b\n c\n  ```"), "a\n  b\nc");
    EXPECT_EQ(extract_code("    ```\n    a\n    ```"), "    ```\n    a\n    ```");
}

TEST(ExtractCode, FindsBlocksInListItems) {
    EXPECT_EQ(extract_code("1. Do this:\n\n    ```sh\n    make\n    ```\n"), "make");
    EXPECT_EQ(extract_code("- a\n  - b:\n    ```\n    x\n    ```\n"), "x");
    EXPECT_EQ(extract_code("1. a\n\ntext\n\n     ```\n     x\n"),
              "1. a\n\ntext\n\n     ```\n     x\n");
}

TEST(MaskSecrets, MasksKeysByTheirPrefix) {
    EXPECT_EQ(mask_secrets("Incorrect API key provided: sk-abc123***wxyz. You can find it"),
              "Incorrect API key provided: ***. You can find it");
    for (const char* key :
         {"sk-proj-abcDEF123_456", "sk-ant-api03-abc-def", "xai-0123456789", "gsk_0123456789",
          "AIzaSyA0123456789", "hf_abcdefgh", "ghp_abcdefgh12", "AKIAIOSFODNN7EXAMPLE",
          "pplx-0123456789", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"}) {
        EXPECT_EQ(mask_secrets("wrong: '" + std::string(key) + "'!"), "wrong: '***'!") << key;
    }
}

TEST(MaskSecrets, MasksWhatIsIntroducedAsASecret) {
    EXPECT_EQ(mask_secrets("Authorization: Bearer abc.def"), "Authorization: Bearer ***");
    EXPECT_EQ(mask_secrets("https://example.org/v1?key=abc123&alt=sse"),
              "https://example.org/v1?key=***&alt=sse");
    EXPECT_EQ(mask_secrets(R"({"api_key": "abc123"})"), R"({"api_key": "***"})");
    EXPECT_EQ(mask_secrets("invalid token=a1b2c3"), "invalid token=***");
    EXPECT_EQ(mask_secrets("API key provided: foobar42."), "API key provided: ***.");
}

TEST(MaskSecrets, MasksLongRandomWords) {
    EXPECT_EQ(mask_secrets("key 0123456789abcdef0123456789abcdef is wrong"), "key *** is wrong");
}

TEST(MaskSecrets, LeavesOrdinaryTextAlone) {
    for (const char* text :
         {"The model `gpt-5` does not exist", "You exceeded your current quota, please check",
          "Rate limit reached for gpt-4o in organization on tokens per min (TPM): Limit 30000",
          "bearer token is missing", "risk-in-treasuries", "max_tokens: 5 > 4096", "task-based",
          "grüße 東京 🌍", "", "the key is invalid"})
        EXPECT_EQ(mask_secrets(text), text);
}

TEST(MaskSecrets, LeavesNoKeyAtAnyPlace) {
    const std::string key = "sk-proj-0123456789abcdefghij";
    for (const char* before : {"", " ", "(", "\"", "=", ":", "\n", "ü", "/"}) {
        for (const char* after : {"", " ", ")", "\"", ",", ".", "\n", "ü", "?"}) {
            const std::string masked = mask_secrets(before + key + after);
            EXPECT_EQ(masked.find("0123456789"), std::string::npos) << before << after;
        }
    }
}

} // namespace
} // namespace larder::protocol
