// Streams of both dialects: pieces put together, ends, errors, and what vendors do differently.
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

constexpr auto kOpenAi = Dialect::kOpenAiChat;
constexpr auto kAnthropic = Dialect::kAnthropicMessages;

class Feeder {
public:
    explicit Feeder(Dialect dialect) : reader_(make_stream_reader(dialect)) {}
    /// The text that the event adds, or "(error)".
    std::string feed(std::string_view data, std::string_view name = {}) {
        auto text = reader_->read({std::string(name), std::string(data)});
        if (text)
            return *text;
        error_ = text.error();
        return "(error)";
    }
    StreamReader& reader() { return *reader_; }
    [[nodiscard]] const Answer& answer() const { return reader_->answer(); }
    [[nodiscard]] const Error& error() const { return error_; }
    /// A member of the plain answer, raw, by a path of names and indices.
    [[nodiscard]] std::string plain(std::vector<std::string> path) const {
        const std::string body = reader_->to_plain();
        const auto document = json::parse(body);
        EXPECT_TRUE(document) << body;
        std::optional<json::Value> value = document->root();
        for (const std::string& step : path) {
            std::optional<json::Value> next = value->find(step);
            int left = value->is(json::Kind::kArray) ? std::stoi(step) : -1;
            value->for_each_element([&](json::Value element) {
                if (left-- == 0)
                    next = element;
                return !next;
            });
            if (!next)
                return "(absent)";
            value = next;
        }
        return std::string(value->raw());
    }

private:
    std::unique_ptr<StreamReader> reader_;
    Error error_;
};

std::string chunk(std::string_view delta, std::string_view finish = "null", int index = 0) {
    return R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{)"
           R"("index":)" +
           std::to_string(index) + R"(,"delta":)" + std::string(delta) + R"(,"finish_reason":)" +
           std::string(finish) + "}]}";
}

TEST(OpenAiStream, PutsTextTogether) {
    Feeder feeder(kOpenAi);
    EXPECT_EQ(feeder.feed(chunk(R"({"role":"assistant","content":"","refusal":null})")), "");
    EXPECT_EQ(feeder.feed(chunk(R"({"content":"Hel\n"})")), "Hel\n");
    EXPECT_EQ(feeder.feed(chunk(R"({"content":"l\u00f6"})")), "lö");
    EXPECT_EQ(feeder.feed(chunk("{}", R"("stop")")), "");
    EXPECT_FALSE(feeder.answer().ended);
    EXPECT_EQ(feeder.feed(R"({"id":"c1","object":"chat.completion.chunk","model":"m","choices":[],
        "usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
        "prompt_tokens_details":{"cached_tokens":4},
        "completion_tokens_details":{"reasoning_tokens":2}}})"),
              "");
    EXPECT_EQ(feeder.feed("[DONE]"), "");
    const Answer& answer = feeder.answer();
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.text, "Hel\nlö");
    EXPECT_EQ(answer.finish, Finish::kWhole);
    ASSERT_TRUE(answer.usage);
    EXPECT_EQ(answer.usage->input, 6);
    EXPECT_EQ(answer.usage->cached_input, 4);
    EXPECT_EQ(answer.usage->output, 5);
    EXPECT_EQ(answer.usage->reasoning, 2);
    EXPECT_TRUE(answer.usage->exact);
    EXPECT_EQ(feeder.plain({"object"}), R"("chat.completion")");
    EXPECT_EQ(feeder.plain({"choices", "0", "message"}),
              R"({"role":"assistant","content":"Hel\nl\u00f6","refusal":null})");
    EXPECT_EQ(feeder.plain({"choices", "0", "finish_reason"}), R"("stop")");
    EXPECT_EQ(feeder.plain({"usage", "total_tokens"}), "15");
}

TEST(OpenAiStream, JoinsToolCallsByTheirIndex) {
    Feeder feeder(kOpenAi);
    feeder.feed(chunk(R"({"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"a",
        "type":"function","function":{"name":"f","arguments":""}}]})"));
    feeder.feed(chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]})"));
    feeder.feed(chunk(R"({"tool_calls":[{"index":1,"id":"b","type":"function",
        "function":{"name":"g","arguments":"{}"}}]})"));
    feeder.feed(chunk(R"({"tool_calls":[{"index":0,"id":"","function":{"name":null,
        "arguments":"1}"}}]})"));
    feeder.feed(chunk("{}", R"("tool_calls")"));
    feeder.feed("[DONE]");
    EXPECT_TRUE(feeder.answer().has_tool_call);
    EXPECT_TRUE(may_be_kept(feeder.answer(), {}));
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "tool_calls"}),
              R"([{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},)"
              R"({"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}])");
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "content"}), "null");
}

TEST(OpenAiStream, TakesToolCallsWithoutAnIndex) {
    Feeder feeder(kOpenAi);
    feeder.feed(chunk(R"({"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]})"));
    feeder.feed(chunk(R"({"tool_calls":[{"function":{"arguments":"}"}}]})"));
    feeder.feed(chunk(R"({"tool_calls":[{"id":"b","function":{"name":"f","arguments":"{}"}}]})"));
    feeder.feed(chunk("{}", R"("tool_calls")"));
    feeder.feed("[DONE]");
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "tool_calls", "0", "function", "arguments"}),
              R"("{}")");
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "tool_calls", "1", "id"}), R"("b")");
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "tool_calls", "2"}), "(absent)");
}

TEST(OpenAiStream, KeepsEveryOtherField) {
    Feeder feeder(kOpenAi);
    feeder.feed(R"({"id":"c1","object":"chat.completion.chunk","model":"m","service_tier":"default",
        "obfuscation":"xyz","citations":["a"],"choices":[{"index":0,"delta":{"role":"assistant",
        "reasoning":"th","annotations":[{"type":"x"}],"odd":{"a":1}},
        "logprobs":{"content":[{"token":"a"}],"refusal":null},"finish_reason":null}]})");
    feeder.feed(R"({"id":"","choices":[{"index":0,"delta":{"reasoning":"ink","content":"hi",
        "annotations":[{"type":"y"}],"odd":{"b":2}},"logprobs":{"content":[{"token":"b"}]},
        "finish_reason":"stop","native_finish_reason":"STOP"}],"citations":["a","b"]})");
    feeder.feed("[DONE]");
    EXPECT_EQ(feeder.plain({"id"}), R"("c1")");
    EXPECT_EQ(feeder.plain({"service_tier"}), R"("default")");
    EXPECT_EQ(feeder.plain({"obfuscation"}), "(absent)");
    EXPECT_EQ(feeder.plain({"citations"}), R"(["a","b"])");
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "reasoning"}), R"("think")");
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "annotations"}),
              R"([{"type":"x"},{"type":"y"}])");
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "odd"}), R"({"a":1,"b":2})");
    EXPECT_EQ(feeder.plain({"choices", "0", "logprobs", "content"}),
              R"([{"token":"a"},{"token":"b"}])");
    EXPECT_EQ(feeder.plain({"choices", "0", "native_finish_reason"}), R"("STOP")");
}

TEST(OpenAiStream, TakesContentInParts) {
    Feeder feeder(kOpenAi);
    feeder.feed(
        chunk(R"({"content":[{"type":"thinking","thinking":[{"type":"text","text":"h"}]}]})"));
    feeder.feed(
        chunk(R"({"content":[{"type":"thinking","thinking":[{"type":"text","text":"m"}]}]})"));
    EXPECT_EQ(feeder.feed(chunk(R"({"content":[{"type":"text","text":"o"}]})")), "o");
    EXPECT_EQ(feeder.feed(chunk(R"({"content":"k"})", R"("stop")")), "k");
    feeder.feed("[DONE]");
    EXPECT_EQ(feeder.answer().text, "ok");
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "content"}),
              R"([{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},)"
              R"({"type":"text","text":"ok"}])");
}

TEST(OpenAiStream, KeepsChoicesApartAndTakesTheWorstFinish) {
    Feeder feeder(kOpenAi);
    EXPECT_EQ(feeder.feed(chunk(R"({"content":"b"})", "null", 1)), "");
    EXPECT_EQ(feeder.feed(chunk(R"({"content":"a"})", "null", 0)), "a");
    feeder.feed(chunk("{}", R"("stop")", 0));
    feeder.feed(chunk("{}", R"("content_filter")", 1));
    feeder.feed("[DONE]");
    EXPECT_EQ(feeder.answer().text, "a");
    EXPECT_EQ(feeder.answer().finish_reason, "stop");
    EXPECT_EQ(feeder.answer().finish, Finish::kRefused);
    EXPECT_EQ(feeder.plain({"choices", "0", "message", "content"}), R"("a")");
    EXPECT_EQ(feeder.plain({"choices", "1", "message", "content"}), R"("b")");
}

TEST(OpenAiStream, EndsWithoutDoneOnlyWhenEveryChoiceHasAFinish) {
    Feeder feeder(kOpenAi);
    feeder.reader().finish_at_eof();
    EXPECT_FALSE(feeder.answer().ended);
    feeder.feed(chunk(R"({"content":"a"})", R"("stop")", 0));
    feeder.feed(chunk(R"({"content":"b"})", "null", 1));
    feeder.reader().finish_at_eof();
    EXPECT_FALSE(feeder.answer().ended);
    feeder.feed(chunk("{}", R"("length")", 1));
    EXPECT_FALSE(feeder.answer().ended);
    feeder.reader().finish_at_eof();
    EXPECT_TRUE(feeder.answer().ended);
    EXPECT_EQ(feeder.answer().finish, Finish::kBounded);
}

TEST(OpenAiStream, DoneWithoutAFinishIsNotWhole) {
    Feeder feeder(kOpenAi);
    feeder.feed(chunk(R"({"content":"a"})"));
    feeder.feed("[DONE]");
    EXPECT_TRUE(feeder.answer().ended);
    EXPECT_EQ(feeder.answer().finish, Finish::kUnknown);
    EXPECT_FALSE(may_be_kept(feeder.answer(), {}));
}

TEST(OpenAiStream, ARefusalIsNeverWhole) {
    Feeder feeder(kOpenAi);
    feeder.feed(chunk(R"({"refusal":"I can't"})"));
    feeder.feed(chunk("{}", R"("stop")"));
    feeder.feed("[DONE]");
    EXPECT_EQ(feeder.answer().finish, Finish::kRefused);
}

TEST(OpenAiStream, TellsAnErrorWithoutItsKeys) {
    Feeder feeder(kOpenAi);
    EXPECT_EQ(
        feeder.feed(R"({"error":{"message":"wrong key sk-abcdef1234567890","code":401}})", "error"),
        "(error)");
    EXPECT_EQ(feeder.error().code, ErrorCode::kProviderRejected);
    EXPECT_NE(feeder.error().message.find("wrong key ***"), std::string::npos);
    EXPECT_EQ(feeder.feed(R"({"error":"overloaded"})"), "(error)");
    EXPECT_EQ(feeder.error().code, ErrorCode::kProviderRejected);
    EXPECT_NE(feeder.feed(R"({"choices":[],"error":null})"), "(error)");
}

TEST(OpenAiStream, RefusesWhatIsNoChunk) {
    for (const char* data : {"{", "[]", "7", R"({"type":"ping"})", R"({"choices":[4]})"}) {
        Feeder feeder(kOpenAi);
        EXPECT_EQ(feeder.feed(data), "(error)") << data;
        EXPECT_EQ(feeder.error().code, ErrorCode::kProviderUnreadable);
    }
}

TEST(OpenAiStream, BoundsTheNumberOfChoices) {
    Feeder feeder(kOpenAi);
    std::string last;
    for (int index = 0; index < 2000 && last.empty(); ++index)
        last = feeder.feed(chunk("{}", "null", index + 1));
    EXPECT_EQ(last, "(error)");
}

TEST(OpenAiStream, CountsTheLastOfTwoUsageReports) {
    Feeder feeder(kOpenAi);
    feeder.feed(R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}})");
    feeder.feed(R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}})");
    feeder.feed(R"({"choices":[],"usage":null})");
    EXPECT_EQ(feeder.answer().usage->output, 7);
    EXPECT_EQ(feeder.answer().usage->input, 5);
}

TEST(OpenAiStream, FindsGroqsUsage) {
    Feeder feeder(kOpenAi);
    feeder.feed(R"({"choices":[],"x_groq":{"id":"r"}})");
    feeder.feed(R"({"choices":[],"x_groq":{"usage":{"prompt_tokens":5,"completion_tokens":7}}})");
    feeder.feed("[DONE]");
    ASSERT_TRUE(feeder.answer().usage);
    EXPECT_EQ(feeder.answer().usage->output, 7);
    EXPECT_EQ(feeder.plain({"x_groq", "id"}), R"("r")");
    EXPECT_EQ(feeder.plain({"usage", "completion_tokens"}), "7");
}

TEST(OpenAiUsage, IsAbsentWhereNothingIsSaid) {
    for (const char* usage : {"null", "{}", R"({"prompt_tokens":null})", "3"}) {
        const auto answer = read_answer(
            kOpenAi, R"({"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":)" +
                         std::string(usage) + "}");
        ASSERT_TRUE(answer);
        EXPECT_FALSE(answer->usage) << usage;
    }
}

TEST(OpenAiUsage, IsNeverNegativeNorMoreThanItsWhole) {
    const auto answer = read_answer(kOpenAi, R"({"choices":[{"message":{"content":"a"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":-5,
        "prompt_tokens_details":{"cached_tokens":99,"cache_write_tokens":99},
        "completion_tokens_details":{"reasoning_tokens":1e300}}})");
    ASSERT_TRUE(answer && answer->usage);
    EXPECT_EQ(answer->usage->input, 0);
    EXPECT_EQ(answer->usage->cached_input, 10);
    EXPECT_EQ(answer->usage->cache_write, 0);
    EXPECT_EQ(answer->usage->output, 0);
    EXPECT_EQ(answer->usage->reasoning, 0);
}

TEST(OpenAiAnswer, ReadsFinishes) {
    const auto finish = [](std::string_view reason) {
        return read_answer(kOpenAi, R"({"choices":[{"message":{"content":"a"},"finish_reason":)" +
                                        std::string(reason) + "}]}")
            ->finish;
    };
    EXPECT_EQ(finish(R"("stop")"), Finish::kWhole);
    EXPECT_EQ(finish(R"("tool_calls")"), Finish::kWhole);
    EXPECT_EQ(finish(R"("function_call")"), Finish::kWhole);
    EXPECT_EQ(finish(R"("length")"), Finish::kBounded);
    EXPECT_EQ(finish(R"("content_filter")"), Finish::kRefused);
    EXPECT_EQ(finish(R"("eos")"), Finish::kUnknown);
    EXPECT_EQ(finish("null"), Finish::kUnknown);
}

TEST(OpenAiAnswer, RefusesWhatIsNone) {
    for (const char* body :
         {"", "<html>", "[]", "{}", R"({"choices":[]})", R"({"choices":[{"text":"a"}]})",
          R"({"choices":{}})", R"({"choices":[{"message":{"content":"a"}})"}) {
        const auto answer = read_answer(kOpenAi, body);
        ASSERT_FALSE(answer) << body;
        EXPECT_EQ(answer.error().code, ErrorCode::kProviderUnreadable);
    }
    EXPECT_EQ(read_answer(kOpenAi, R"({"error":{"message":"no"}})").error().code,
              ErrorCode::kProviderRejected);
}

TEST(OpenAiReplay, SendsTheUsageOnlyWhenAsked) {
    const std::string plain = R"({"id":"c","choices":[{"index":0,"message":{"role":"assistant",
        "content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,
        "completion_tokens":1}})";
    const std::string asked = plain_to_stream(kOpenAi, plain, true).value();
    const std::string not_asked = plain_to_stream(kOpenAi, plain, false).value();
    EXPECT_NE(asked.find(R"("choices":[],"usage":{)"), std::string::npos) << asked;
    EXPECT_EQ(not_asked.find("usage"), std::string::npos);
    EXPECT_TRUE(not_asked.ends_with("data: [DONE]\n\n"));
    EXPECT_EQ(stream_for_client(kOpenAi, asked, false), not_asked);
    EXPECT_NE(not_asked.find(R"("delta":{"content":"hi"})"), std::string::npos);
}

TEST(OpenAiReplay, GivesToolCallsTheirIndex) {
    const std::string stream =
        plain_to_stream(kOpenAi, R"({"choices":[{"index":0,"message":{"role":"assistant",
        "content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f",
        "arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g",
        "arguments":"{}"}}]},"finish_reason":"tool_calls"}]})",
                        false)
            .value();
    EXPECT_NE(stream.find(R"({"index":0,"id":"a")"), std::string::npos) << stream;
    EXPECT_NE(stream.find(R"({"index":1,"id":"b")"), std::string::npos);
}

TEST(Replay, RefusesWhatIsNoAnswer) {
    for (const auto dialect : {kOpenAi, kAnthropic}) {
        EXPECT_FALSE(plain_to_stream(dialect, "{}", true));
        EXPECT_FALSE(plain_to_stream(dialect, "[", true));
        EXPECT_FALSE(plain_to_stream(dialect, "[]", true));
    }
    EXPECT_FALSE(plain_to_stream(kOpenAi, R"({"choices":[{}]})", true));
}

void start(Feeder& feeder) {
    feeder.feed(R"({"type":"message_start","message":{"id":"msg_1","type":"message",
        "role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,
        "usage":{"input_tokens":10,"cache_creation_input_tokens":7,"cache_read_input_tokens":3,
        "cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":2},
        "output_tokens":1}}})");
}

void stop(Feeder& feeder, std::string_view reason) {
    feeder.feed(R"({"type":"message_delta","delta":{"stop_reason":")" + std::string(reason) +
                R"(","stop_sequence":null},"usage":{"output_tokens":20}})");
    feeder.feed(R"({"type":"message_stop"})");
}

TEST(AnthropicStream, PutsTheMessageTogether) {
    Feeder feeder(kAnthropic);
    start(feeder);
    feeder.feed(R"({"type":"ping"})");
    feeder.feed(R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking",
        "thinking":"","signature":""}})");
    EXPECT_EQ(feeder.feed(R"({"type":"content_block_delta","index":0,"delta":{
        "type":"thinking_delta","thinking":"hm"}})"),
              "");
    feeder.feed(R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta",
        "signature":"sig"}})");
    feeder.feed(R"({"type":"content_block_stop","index":0})");
    feeder.feed(R"({"type":"content_block_start","index":1,"content_block":{"type":"text",
        "text":""}})");
    EXPECT_EQ(feeder.feed(R"({"type":"content_block_delta","index":1,"delta":{
        "type":"text_delta","text":"Hi "}})"),
              "Hi ");
    feeder.feed(R"({"type":"content_block_delta","index":1,"delta":{"type":"citations_delta",
        "citation":{"cited_text":"x"}}})");
    EXPECT_EQ(feeder.feed(R"({"type":"content_block_delta","index":1,"delta":{
        "type":"text_delta","text":"you"}})"),
              "you");
    feeder.feed(R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use",
        "id":"t","name":"f","input":{}}})");
    feeder.feed(R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta",
        "partial_json":"{\"a\":"}})");
    feeder.feed(R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta",
        "partial_json":"1}"}})");
    stop(feeder, "tool_use");
    const Answer& answer = feeder.answer();
    EXPECT_TRUE(answer.ended);
    EXPECT_TRUE(answer.has_tool_call);
    EXPECT_EQ(answer.text, "Hi you");
    EXPECT_EQ(answer.finish, Finish::kWhole);
    EXPECT_EQ(feeder.plain({"content"}),
              R"([{"type":"thinking","thinking":"hm","signature":"sig"},)"
              R"({"type":"text","text":"Hi you","citations":[{"cited_text":"x"}]},)"
              R"({"type":"tool_use","id":"t","name":"f","input":{"a":1}}])");
    EXPECT_EQ(feeder.plain({"stop_reason"}), R"("tool_use")");
    EXPECT_EQ(feeder.plain({"usage", "output_tokens"}), "20");
}

TEST(AnthropicStream, MergesItsUsageReports) {
    Feeder feeder(kAnthropic);
    start(feeder);
    stop(feeder, "end_turn");
    ASSERT_TRUE(feeder.answer().usage);
    const llm::Usage& usage = *feeder.answer().usage;
    EXPECT_EQ(usage.input, 10);
    EXPECT_EQ(usage.cached_input, 3);
    EXPECT_EQ(usage.cache_write, 5);
    EXPECT_EQ(usage.cache_write_1h, 2);
    EXPECT_EQ(usage.output, 20);
    EXPECT_FALSE(may_be_kept(feeder.answer(), {})); // nothing was said
}

TEST(AnthropicStream, EndsOnlyWithItsOwnEvent) {
    Feeder feeder(kAnthropic);
    start(feeder);
    feeder.feed(R"({"type":"message_delta","delta":{"stop_reason":"end_turn"}})");
    feeder.reader().finish_at_eof();
    EXPECT_FALSE(feeder.answer().ended);
    feeder.feed(R"({"type":"message_stop"})");
    EXPECT_TRUE(feeder.answer().ended);
    EXPECT_EQ(feeder.feed("[DONE]", "data"), "");
}

TEST(AnthropicStream, ToleratesWhatItDoesNotKnow) {
    Feeder feeder(kAnthropic);
    start(feeder);
    EXPECT_EQ(feeder.feed(R"({"type":"news","index":4})"), "");
    feeder.feed(R"({"type":"content_block_start","index":0,"content_block":{"type":"odd"}})");
    feeder.feed(R"({"type":"content_block_delta","index":0,"delta":{"type":"odd_delta",
        "content":"a"}})");
    feeder.feed(R"({"type":"content_block_delta","index":0,"delta":{"type":"odd_delta",
        "content":"b"}})");
    stop(feeder, "end_turn");
    EXPECT_EQ(feeder.plain({"content"}), R"([{"type":"odd","content":"ab"}])");
}

TEST(AnthropicStream, DoesNotKeepAnInputThatWasCut) {
    Feeder feeder(kAnthropic);
    start(feeder);
    feeder.feed(R"({"type":"content_block_start","index":0,"content_block":{"type":"tool_use",
        "id":"t","name":"f","input":{}}})");
    feeder.feed(R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta",
        "partial_json":"{\"a\":"}})");
    stop(feeder, "max_tokens");
    EXPECT_EQ(feeder.answer().finish, Finish::kUnknown);
    EXPECT_EQ(feeder.plain({"content", "0", "input"}), "{}");
}

TEST(AnthropicStream, TellsAnError) {
    Feeder feeder(kAnthropic);
    start(feeder);
    EXPECT_EQ(feeder.feed(R"({"type":"error","error":{"type":"overloaded_error",
        "message":"Overloaded"}})",
                          "error"),
              "(error)");
    EXPECT_EQ(feeder.error().code, ErrorCode::kProviderRejected);
    EXPECT_NE(feeder.error().message.find("Overloaded"), std::string::npos);
}

TEST(AnthropicStream, RefusesWhatIsOutOfPlace) {
    for (const char* data : {"{", "[]", "{}", R"({"type":7})", R"({"type":"message_start"})",
                             R"({"type":"content_block_start","index":0,"content_block":{}})",
                             R"({"type":"message_stop"})"}) {
        Feeder feeder(kAnthropic);
        EXPECT_EQ(feeder.feed(data), "(error)") << data;
        EXPECT_EQ(feeder.error().code, ErrorCode::kProviderUnreadable);
    }
    Feeder feeder(kAnthropic);
    start(feeder);
    EXPECT_EQ(feeder.feed(R"({"type":"content_block_delta","index":3,"delta":{}})"), "(error)");
}

TEST(AnthropicAnswer, ReadsFinishes) {
    const auto finish = [](std::string_view reason) {
        return read_answer(kAnthropic, R"({"type":"message","content":[],"stop_reason":")" +
                                           std::string(reason) + R"("})")
            ->finish;
    };
    EXPECT_EQ(finish("end_turn"), Finish::kWhole);
    EXPECT_EQ(finish("stop_sequence"), Finish::kWhole);
    EXPECT_EQ(finish("tool_use"), Finish::kWhole);
    EXPECT_EQ(finish("max_tokens"), Finish::kBounded);
    EXPECT_EQ(finish("refusal"), Finish::kRefused);
    EXPECT_EQ(finish("pause_turn"), Finish::kUnknown);
}

TEST(AnthropicAnswer, RefusesWhatIsNone) {
    for (const char* body : {"", "{}", R"({"type":"message"})", R"({"content":[]})"})
        EXPECT_EQ(read_answer(kAnthropic, body).error().code, ErrorCode::kProviderUnreadable);
    EXPECT_EQ(read_answer(kAnthropic, R"({"type":"error","error":{"message":"no"}})").error().code,
              ErrorCode::kProviderRejected);
}

TEST(AnthropicReplay, SendsTheUsageAsItsApiDoes) {
    const std::string stream =
        plain_to_stream(kAnthropic, R"({"id":"m","type":"message","content":[{"type":"text",
        "text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":9}})",
                        false)
            .value();
    EXPECT_TRUE(stream.starts_with("event: message_start\ndata: {\"type\":\"message_start\""));
    EXPECT_NE(stream.find(R"("usage":{"input_tokens":3,"output_tokens":1})"), std::string::npos);
    EXPECT_NE(stream.find(R"("usage":{"input_tokens":3,"output_tokens":9})"), std::string::npos);
    EXPECT_TRUE(stream.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}

} // namespace
} // namespace larder::protocol
