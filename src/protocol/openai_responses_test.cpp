// Answers of OpenAI's Responses API by hand: finishes, usage, what streams and replays do beside
// the recorded ones.
#include "protocol/cursor.hpp"
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

constexpr Dialect kDialect = Dialect::kOpenAiResponses;

std::string response(std::string_view members, std::string_view output) {
    return R"({"id":"resp_1","object":"response","model":"gpt-x",)" + std::string(members) +
           R"("output":[)" + std::string(output) + "]}";
}

std::string message(std::string_view text) {
    return R"({"type":"message","id":"msg_1","status":"completed","role":"assistant","content":)"
           R"([{"type":"output_text","annotations":[],"text":")" +
           std::string(text) + "\"}]}";
}

Answer read(std::string_view body) {
    const auto answer = read_answer(kDialect, body);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer.value_or(Answer());
}

TEST(ResponsesAnswer, HasTheTextOfAllItsMessages) {
    const Answer answer = read(response(R"("status":"completed",)", message("Hel") +
                                                                        R"(,{"type":"reasoning",
            "summary":[{"type":"summary_text","text":"hm"}]},)" + message("l\\u00f6")));
    EXPECT_EQ(answer.text, "Hellö");
    EXPECT_EQ(answer.id, "resp_1");
    EXPECT_EQ(answer.model, "gpt-x");
    EXPECT_EQ(answer.finish_reason, "completed");
    EXPECT_EQ(answer.finish, Finish::kWhole);
    EXPECT_FALSE(answer.has_tool_call);
    EXPECT_TRUE(answer.ended);
    EXPECT_TRUE(may_be_kept(answer, Call()));
}

struct FinishCase {
    const char* members;
    Finish finish;
    const char* reason;
};

TEST(ResponsesAnswer, SaysWhyItEnded) {
    const FinishCase cases[] = {
        {R"("status":"completed",)", Finish::kWhole, "completed"},
        {R"("status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},)",
         Finish::kBounded, "max_output_tokens"},
        {R"("status":"incomplete","incomplete_details":{"reason":"content_filter"},)",
         Finish::kRefused, "content_filter"},
        {R"("status":"incomplete","incomplete_details":{"reason":"unheard_of"},)", Finish::kUnknown,
         "unheard_of"},
        {R"("status":"incomplete","incomplete_details":null,)", Finish::kUnknown, "incomplete"},
        {R"("status":"failed","error":{"code":"server_error","message":"m"},)", Finish::kUnknown,
         "failed"},
        {R"("status":"cancelled",)", Finish::kUnknown, "cancelled"},
        {R"("status":"in_progress",)", Finish::kUnknown, "in_progress"},
        {R"("status":"queued",)", Finish::kUnknown, "queued"},
        {R"("status":7,)", Finish::kUnknown, ""},
        {"", Finish::kUnknown, ""},
    };
    for (const FinishCase& one : cases) {
        const Answer answer = read(response(one.members, message("a")));
        EXPECT_EQ(answer.finish, one.finish) << one.members;
        EXPECT_EQ(answer.finish_reason, one.reason);
        EXPECT_EQ(may_be_kept(answer, Call()), one.finish == Finish::kWhole) << one.members;
    }
}

TEST(ResponsesAnswer, ThatItsOwnBoundCutIsKept) {
    const Answer answer = read(
        response(R"("status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},)",
                 message("a")));
    Call call;
    EXPECT_FALSE(may_be_kept(answer, call));
    call.bounds_output = true;
    EXPECT_TRUE(may_be_kept(answer, call));
}

TEST(ResponsesAnswer, ThatRefusesIsNoWholeOne) {
    const Answer answer = read(response(R"("status":"completed",)",
                                        R"({"type":"message","content":[
        {"type":"output_text","text":"a"},{"type":"refusal","refusal":"no"}]})"));
    EXPECT_EQ(answer.finish, Finish::kRefused);
    EXPECT_EQ(answer.text, "a");
    EXPECT_FALSE(may_be_kept(answer, Call()));
}

TEST(ResponsesAnswer, KnowsWhatTheClientIsAskedToRun) {
    for (const char* type : {"function_call", "custom_tool_call", "local_shell_call",
                             "apply_patch_call", "shell_call"}) {
        const Answer answer = read(
            response(R"("status":"completed",)", R"({"type":")" + std::string(type) + R"("})"));
        EXPECT_TRUE(answer.has_tool_call) << type;
        EXPECT_TRUE(may_be_kept(answer, Call())) << type;
    }
    for (const char* type : {"web_search_call", "reasoning", "mcp_call"})
        EXPECT_FALSE(
            read(response(R"("status":"completed",)", R"({"type":")" + std::string(type) + R"("})"))
                .has_tool_call)
            << type;
}

TEST(ResponsesAnswer, CountsCachedTokensOnce) {
    const Answer answer = read(response(
        R"("usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,
           "cache_write_tokens":30},"output_tokens":50,"output_tokens_details":
           {"reasoning_tokens":20},"total_tokens":150},)",
        ""));
    ASSERT_TRUE(answer.usage);
    EXPECT_EQ(answer.usage->input, 10);
    EXPECT_EQ(answer.usage->cached_input, 60);
    EXPECT_EQ(answer.usage->cache_write, 30);
    EXPECT_EQ(answer.usage->output, 50);
    EXPECT_EQ(answer.usage->reasoning, 20);
}

TEST(ResponsesAnswer, SurvivesHostileUsage) {
    const Answer silent = read(response(R"("usage":{},)", ""));
    EXPECT_FALSE(silent.usage);
    const Answer odd = read(response(
        R"("usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":1e9,
           "cache_write_tokens":7},"output_tokens":-3,"output_tokens_details":
           {"reasoning_tokens":9}},)",
        ""));
    ASSERT_TRUE(odd.usage);
    EXPECT_EQ(odd.usage->prompt(), 5);
    EXPECT_EQ(odd.usage->cached_input, 5);
    EXPECT_EQ(odd.usage->cache_write, 0);
    EXPECT_EQ(odd.usage->output, 0);
    EXPECT_EQ(odd.usage->reasoning, 0);
}

TEST(ResponsesAnswer, TellsAnErrorFromAFailedResponse) {
    const auto error =
        read_answer(kDialect, R"({"error":{"message":"key sk-abcdefghijklmnopqrstuvwx is bad"}})");
    ASSERT_FALSE(error);
    EXPECT_EQ(error.error().code, ErrorCode::kProviderRejected);
    EXPECT_EQ(error.error().message.find("sk-abc"), std::string::npos);
    EXPECT_TRUE(read_answer(kDialect, response(R"("error":null,"status":"completed",)", "")));
    const auto failed = read_answer(
        kDialect, response(R"("error":{"message":"m"},"status":"failed",)", message("a")));
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->finish, Finish::kUnknown);
}

TEST(ResponsesAnswer, IsNoOtherDialects) {
    for (const char* body : {"[]", "{}", "{", R"({"choices":[]})", R"({"output":"text"})"}) {
        const auto answer = read_answer(kDialect, body);
        ASSERT_FALSE(answer) << body;
        EXPECT_EQ(answer.error().code, ErrorCode::kProviderUnreadable);
    }
}

TEST(ResponsesAnswer, SurvivesMembersOfAnyType) {
    EXPECT_EQ(read(response(R"("status":"completed","incomplete_details":[1],"usage":3,)",
                            R"(null,3,"s",[],{},{"type":null},{"type":"message"},
        {"type":"message","content":"x"},{"type":"message","content":[1,{"type":2},
        {"type":"output_text"},{"type":"output_text","text":4},{"type":"refusal","refusal":null}]})"))
                  .text,
              "");
}

struct Stream {
    std::unique_ptr<StreamReader> reader = make_stream_reader(kDialect);
    Result<std::string> read(std::string_view data, std::string_view name = {}) {
        return reader->read({.name = std::string(name), .data = std::string(data)});
    }
    /// The text of an event that must be taken.
    std::string text(std::string_view data, std::string_view name = {}) {
        const auto text = read(data, name);
        EXPECT_TRUE(text) << data << text.error().message;
        return text.value_or("(failed)");
    }
    std::string delta(std::string_view text_) {
        return text(R"({"type":"response.output_text.delta","delta":")" + std::string(text_) +
                    "\"}");
    }
    std::string end(std::string_view output, std::string_view status = "completed") {
        return text(R"({"type":"response.)" + std::string(status) + R"(","response":)" +
                    response(R"("status":")" + std::string(status) + "\",", output) + "}");
    }
    ErrorCode error_of(std::string_view data, std::string_view name = {}) {
        const auto text = read(data, name);
        EXPECT_FALSE(text) << data;
        return text ? ErrorCode::kInternal : text.error().code;
    }
};

TEST(ResponsesStream, GivesTextAsItComesAndEndsWithTheResponse) {
    Stream stream;
    EXPECT_EQ(stream.text(R"({"type":"response.created","response":{"id":"resp_1","model":"m"}})"),
              "");
    EXPECT_EQ(stream.reader->answer().id, "resp_1");
    EXPECT_EQ(stream.reader->answer().model, "m");
    EXPECT_EQ(stream.delta("Hel"), "Hel");
    EXPECT_EQ(stream.delta("l\\n"), "l\n");
    EXPECT_EQ(stream.reader->answer().text, "Hell\n");
    EXPECT_FALSE(stream.reader->answer().ended);
    stream.reader->finish_at_eof();
    EXPECT_FALSE(stream.reader->answer().ended);
    EXPECT_EQ(stream.end(message("Hell\\n")), "");
    EXPECT_TRUE(stream.reader->answer().ended);
    EXPECT_EQ(stream.reader->answer().finish, Finish::kWhole);
    EXPECT_EQ(stream.reader->to_plain(), response(R"("status":"completed",)", message("Hell\\n")));
    EXPECT_EQ(stream.text("[DONE]"), "");
    EXPECT_EQ(stream.delta("more"), "");
    EXPECT_EQ(stream.reader->answer().text, "Hell\n");
}

TEST(ResponsesStream, TakesTheTypeFromTheEventsNameWhereTheDataHasNone) {
    Stream stream;
    EXPECT_EQ(stream.text(R"({"delta":"a"})", "response.output_text.delta"), "a");
    EXPECT_EQ(stream.error_of(R"({"delta":"a"})"), ErrorCode::kProviderUnreadable);
}

TEST(ResponsesStream, IgnoresEventsThatItDoesNotKnow) {
    Stream stream;
    for (const char* data :
         {R"({"type":"response.unheard_of","delta":"x"})", R"({"type":"keepalive"})",
          R"({"type":"response.reasoning_text.delta","delta":"x"})",
          R"({"type":"response.refusal.delta","delta":"x"})",
          R"({"type":"response.queued","response":{}})", R"({"type":"response.created"})", "",
          "[DONE]"})
        EXPECT_EQ(stream.text(data), "") << data;
    EXPECT_EQ(stream.reader->answer().text, "");
    EXPECT_FALSE(stream.reader->answer().ended);
}

TEST(ResponsesStream, PutsTheOutputTogetherInItsOrder) {
    Stream stream;
    stream.text(R"({"type":"response.output_item.done","output_index":1,"item":)" + message("b") +
                "}");
    stream.text(R"({"type":"response.output_item.done","output_index":0,"item":)" + message("a") +
                "}");
    EXPECT_EQ(stream.end(""), "ab");
    EXPECT_EQ(stream.reader->answer().text, "ab");
    EXPECT_EQ(stream.reader->answer().finish, Finish::kWhole);
    EXPECT_EQ(stream.reader->to_plain(),
              response(R"("status":"completed",)", message("a") + "," + message("b")));
}

TEST(ResponsesStream, PutsInAnOutputThatIsMissing) {
    Stream stream;
    stream.text(R"({"type":"response.output_item.done","item":)" + message("a") + "}");
    EXPECT_EQ(stream.text(R"({"type":"response.completed","response":{"object":"response",
                             "status":"completed"}})"),
              "a");
    EXPECT_EQ(stream.reader->to_plain(),
              R"({"object":"response","status":"completed","output":[)" + message("a") + "]}");
}

TEST(ResponsesStream, GivesTextThatCameInNoDelta) {
    Stream stream;
    EXPECT_EQ(stream.delta("ab"), "ab");
    EXPECT_EQ(stream.end(message("abcd")), "cd");
}

TEST(ResponsesStream, WhoseResponseLacksWhatItShowedIsNoWholeAnswer) {
    Stream stream;
    stream.delta("ab");
    EXPECT_EQ(stream.end(message("other")), "");
    EXPECT_TRUE(stream.reader->answer().ended);
    EXPECT_EQ(stream.reader->answer().finish, Finish::kUnknown);
    EXPECT_FALSE(may_be_kept(stream.reader->answer(), Call()));
}

TEST(ResponsesStream, EndsIncomplete) {
    Stream stream;
    stream.delta("a");
    stream.text(R"({"type":"response.incomplete","response":{"status":"incomplete",
                   "incomplete_details":{"reason":"max_output_tokens"},"output":[)" +
                message("a") + "]}}");
    EXPECT_TRUE(stream.reader->answer().ended);
    EXPECT_EQ(stream.reader->answer().finish, Finish::kBounded);
    EXPECT_EQ(stream.reader->answer().finish_reason, "max_output_tokens");
}

TEST(ResponsesStream, FailsWithTheProvidersWordsMasked) {
    const std::string key = "sk-abcdefghijklmnopqrstuvwx";
    const std::pair<std::string, const char*> cases[] = {
        {R"({"type":"error","code":"e","message":"bad )" + key + R"(","param":null})", ""},
        {R"({"type":"error","error":{"type":"t","message":"bad )" + key + "\"}}", ""},
        {R"({"error":{"message":"bad )" + key + "\"}}", ""},
        {R"({"message":"bad )" + key + "\"}", "error"},
    };
    for (const auto& [data, name] : cases) {
        Stream stream;
        const auto text = stream.read(data, name);
        ASSERT_FALSE(text) << data;
        EXPECT_EQ(text.error().code, ErrorCode::kProviderRejected) << data;
        EXPECT_NE(text.error().message.find("bad"), std::string::npos) << data;
        EXPECT_EQ(text.error().message.find(key), std::string::npos) << data;
        EXPECT_FALSE(stream.reader->answer().ended);
    }
}

TEST(ResponsesStream, TellsAFailureOnlyWhereThereIsAnError) {
    const auto tells = [](std::string_view error) {
        return tells_failure(
            kDialect, {.name = {},
                       .data = R"({"type":"response.completed","response":{"status":"x","error":)" +
                               std::string(error) + "}}"});
    };
    EXPECT_FALSE(tells("null"));
    EXPECT_FALSE(tells(R"(null,"output":[{"text":"\"error\": {}"}])"));
    EXPECT_TRUE(tells(R"({"message":"m"})"));
    EXPECT_TRUE(tells(R"( {})"));
}

TEST(ResponsesStream, EndsWithAFailedOrCancelledResponseWhichIsNoAnswerToKeep) {
    for (const std::string status : {"failed", "cancelled"}) {
        Stream stream;
        const auto text =
            stream.read(R"({"type":"response.)" + status + R"(","response":{"id":"r","status":")" +
                            status + R"(","error":{"code":"c","message":"m"},"output":[]}})",
                        "");
        ASSERT_TRUE(text);
        EXPECT_TRUE(stream.reader->answer().ended);
        EXPECT_EQ(stream.reader->answer().finish, Finish::kUnknown);
        EXPECT_FALSE(may_be_kept(stream.reader->answer(), {}));
    }
    EXPECT_EQ(Stream().error_of(R"({"type":"response.failed"})"), ErrorCode::kProviderUnreadable);
}

TEST(ResponsesStream, RefusesWhatItCannotRead) {
    for (const char* data :
         {"{", "3", "[]", "{}", R"({"type":3})", R"({"type":"response.completed"})",
          R"({"type":"response.completed","response":3})",
          R"({"type":"response.completed","response":{}})",
          R"({"type":"response.output_item.done"})",
          R"({"type":"response.output_item.done","item":"x"})",
          R"({"choices":[{"delta":{"content":"x"}}]})"})
        EXPECT_EQ(Stream().error_of(data), ErrorCode::kProviderUnreadable) << data;
}

TEST(ResponsesStream, BoundsItsItems) {
    Stream stream;
    std::size_t taken = 0;
    const auto give = [&] {
        return stream.read(R"({"type":"response.output_item.done","output_index":)" +
                           std::to_string(taken) + R"(,"item":{}})");
    };
    while (taken < 100'000 && give())
        ++taken;
    EXPECT_EQ(taken, 4096U);
    // The same item again takes no more room.
    Stream same;
    for (int i = 0; i < 5000; ++i)
        same.text(R"({"type":"response.output_item.done","output_index":0,"item":{}})");
    EXPECT_EQ(same.end(""), "");
}

std::vector<http::SseEvent> events_of(std::string_view stream) {
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    EXPECT_TRUE(decoder.feed(stream, events));
    return events;
}

/// The data of a replay's events, one a line.
std::string replay(std::string_view body) {
    const auto stream = plain_to_stream(kDialect, body, true);
    EXPECT_TRUE(stream);
    std::string lines;
    for (const http::SseEvent& event : events_of(stream.value_or("")))
        lines += event.data + "\n";
    return lines;
}

TEST(ResponsesReplay, IsTheWholeSequenceOfAText) {
    EXPECT_EQ(
        replay(R"({"id":"r", "status":"completed", "usage":{"input_tokens":1}, "output":[
            {"id":"m","type":"message","status":"completed","role":"assistant","content":[
            {"type":"output_text","annotations":[{"type":"url_citation"}],"text":"Hi"}]}]})"),
        R"({"type":"response.created","sequence_number":0,"response":{"id":"r","status":"in_progress","usage":null,"output":[]}}
{"type":"response.in_progress","sequence_number":1,"response":{"id":"r","status":"in_progress","usage":null,"output":[]}}
{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"m","type":"message","status":"in_progress","role":"assistant","content":[]}}
{"type":"response.content_part.added","sequence_number":3,"item_id":"m","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"text":""}}
{"type":"response.output_text.delta","sequence_number":4,"item_id":"m","output_index":0,"content_index":0,"delta":"Hi","logprobs":[]}
{"type":"response.output_text.annotation.added","sequence_number":5,"item_id":"m","output_index":0,"content_index":0,"annotation_index":0,"annotation":{"type":"url_citation"}}
{"type":"response.output_text.done","sequence_number":6,"item_id":"m","output_index":0,"content_index":0,"text":"Hi","logprobs":[]}
{"type":"response.content_part.done","sequence_number":7,"item_id":"m","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[{"type":"url_citation"}],"text":"Hi"}}
{"type":"response.output_item.done","sequence_number":8,"output_index":0,"item":{"id":"m","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[{"type":"url_citation"}],"text":"Hi"}]}}
{"type":"response.completed","sequence_number":9,"response":{"id":"r","status":"completed","usage":{"input_tokens":1},"output":[{"id":"m","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[{"type":"url_citation"}],"text":"Hi"}]}]}}
)");
}

/// What a replay of this one item says between the item's first and last event.
std::string inside(std::string_view item) {
    const std::string lines = replay(response(R"("status":"completed",)", item));
    const std::size_t begin = lines.find('\n', lines.find("output_item.added")) + 1;
    return lines.substr(begin, lines.rfind('\n', lines.find("output_item.done")) + 1 - begin);
}

TEST(ResponsesReplay, StreamsArguments) {
    EXPECT_EQ(
        inside(
            R"({"id":"f","type":"function_call","call_id":"c","name":"n","arguments":"{\"a\":1}"})"),
        R"({"type":"response.function_call_arguments.delta","sequence_number":3,"item_id":"f","output_index":0,"delta":"{\"a\":1}"}
{"type":"response.function_call_arguments.done","sequence_number":4,"item_id":"f","output_index":0,"arguments":"{\"a\":1}"}
)");
    EXPECT_EQ(
        inside(R"({"id":"f","type":"custom_tool_call","call_id":"c","name":"n","input":"4 + 4"})"),
        R"({"type":"response.custom_tool_call_input.delta","sequence_number":3,"item_id":"f","output_index":0,"delta":"4 + 4"}
{"type":"response.custom_tool_call_input.done","sequence_number":4,"item_id":"f","output_index":0,"input":"4 + 4"}
)");
}

TEST(ResponsesReplay, AddsACallWithoutItsArguments) {
    const std::string lines = replay(
        response("", R"({"id":"f","type":"function_call","status":"completed","arguments":"{}"})"));
    EXPECT_NE(lines.find(R"("item":{"id":"f","type":"function_call","status":"in_progress",)"
                         R"("arguments":""}})"),
              std::string::npos)
        << lines;
}

TEST(ResponsesReplay, StreamsSummariesAndReasoning) {
    EXPECT_EQ(
        inside(R"({"id":"r","type":"reasoning","summary":[{"type":"summary_text","text":"s"}],
                   "content":[{"type":"reasoning_text","text":"t"}],"encrypted_content":"e"})"),
        R"({"type":"response.reasoning_summary_part.added","sequence_number":3,"item_id":"r","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}
{"type":"response.reasoning_summary_text.delta","sequence_number":4,"item_id":"r","output_index":0,"summary_index":0,"delta":"s"}
{"type":"response.reasoning_summary_text.done","sequence_number":5,"item_id":"r","output_index":0,"summary_index":0,"text":"s"}
{"type":"response.reasoning_summary_part.done","sequence_number":6,"item_id":"r","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":"s"}}
{"type":"response.content_part.added","sequence_number":7,"item_id":"r","output_index":0,"content_index":0,"part":{"type":"reasoning_text","text":""}}
{"type":"response.reasoning_text.delta","sequence_number":8,"item_id":"r","output_index":0,"content_index":0,"delta":"t"}
{"type":"response.reasoning_text.done","sequence_number":9,"item_id":"r","output_index":0,"content_index":0,"text":"t"}
{"type":"response.content_part.done","sequence_number":10,"item_id":"r","output_index":0,"content_index":0,"part":{"type":"reasoning_text","text":"t"}}
)");
}

TEST(ResponsesReplay, StreamsRefusalsAndLogProbabilities) {
    const std::string lines = inside(R"({"id":"m","type":"message","content":[
        {"type":"output_text","text":"a","annotations":[],"logprobs":[{"token":"a"}]},
        {"type":"refusal","refusal":"no"}]})");
    EXPECT_NE(lines.find(R"("delta":"a","logprobs":[{"token":"a"}]})"), std::string::npos);
    EXPECT_NE(lines.find(R"("text":"a","logprobs":[{"token":"a"}]})"), std::string::npos);
    EXPECT_NE(lines.find(R"("annotations":[],"logprobs":[]})"), std::string::npos);
    EXPECT_NE(lines.find(R"({"type":"response.refusal.delta","sequence_number":8,"item_id":"m",)"
                         R"("output_index":0,"content_index":1,"delta":"no"})"),
              std::string::npos)
        << lines;
    EXPECT_NE(lines.find(R"("content_index":1,"refusal":"no"})"), std::string::npos);
}

TEST(ResponsesReplay, EndsAsTheResponseDid) {
    EXPECT_NE(replay(response(R"("status":"incomplete",)", ""))
                  .find(R"({"type":"response.incomplete","sequence_number":2)"),
              std::string::npos);
    EXPECT_NE(replay(response(R"("status":"failed","error":{"message":"m"},)", ""))
                  .find(R"({"type":"response.failed","sequence_number":2)"),
              std::string::npos);
    EXPECT_NE(replay(response("", "")).find(R"({"type":"response.completed")"), std::string::npos);
}

TEST(ResponsesReplay, SurvivesItemsOfAnyShape) {
    const std::string body = response(R"("status":"completed",)", R"(null,3,{},{"type":7},
        {"type":"message","content":"x"},{"type":"message","content":[null,{},
        {"type":"output_text","text":5},{"type":"unheard_of","text":"x"}]},
        {"type":"reasoning","summary":[3]},{"type":"function_call"},
        {"type":"custom_tool_call","input":{}},{"type":"web_search_call","id":4})");
    const auto stream = plain_to_stream(kDialect, body, false);
    ASSERT_TRUE(stream);
    for (const http::SseEvent& event : events_of(*stream))
        EXPECT_TRUE(json::parse(event.data)) << event.data;
    EXPECT_FALSE(plain_to_stream(kDialect, "{}", false));
    EXPECT_FALSE(plain_to_stream(kDialect, "[", false));
}

} // namespace
} // namespace larder::protocol
