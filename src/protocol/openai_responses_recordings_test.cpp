// Every recorded response of OpenAI's Responses API and its look-alikes: read, compared with an
// independent reading and with the events that the API itself sent, brought into the other wire
// form and back.
#include "testing/recordings.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "protocol/cursor.hpp"
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

namespace larder::protocol {
namespace {

using larder::testing::Recording;

constexpr Dialect kDialect = Dialect::kOpenAiResponses;

/// All exchanges of the API, read once.
const Result<std::vector<Recording>>& all_recordings() {
    static const auto loaded =
        larder::testing::load_recordings(larder::testing::recordings_path(), [](const auto& one) {
            return one.api == "openai.responses" && one.method == "POST";
        });
    return loaded;
}

std::vector<const Recording*> answered(bool stream) {
    std::vector<const Recording*> found;
    for (const Recording& one : *all_recordings()) {
        if (one.status == 200 && one.stream == stream)
            found.push_back(&one);
    }
    return found;
}

#define LARDER_NEED_RECORDINGS()                                                                   \
    if (!all_recordings())                                                                         \
    GTEST_SKIP() << all_recordings().error().message

/// The events of a body that comes in pieces of this size, each in a heap block of its own.
std::vector<http::SseEvent> events_of(std::string_view body, std::size_t piece_bytes) {
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    while (!body.empty()) {
        const std::size_t size = std::min(piece_bytes, body.size());
        const auto block = std::make_unique<char[]>(size);
        body.copy(block.get(), size);
        EXPECT_TRUE(decoder.feed({block.get(), size}, events));
        body.remove_prefix(size);
    }
    return events;
}

std::vector<http::SseEvent> events_of(std::string_view body) {
    return events_of(body, std::max<std::size_t>(body.size(), 1));
}

struct Reading {
    Answer answer;
    std::string plain;
    std::string text; // what the single events gave
};

Result<Reading> read_events(const std::vector<http::SseEvent>& events) {
    const auto reader = make_stream_reader(kDialect);
    Reading reading;
    for (const http::SseEvent& event : events) {
        LARDER_TRY(const std::string text, reader->read(event));
        reading.text += text;
    }
    reader->finish_at_eof();
    reading.answer = reader->answer();
    if (reading.answer.ended)
        reading.plain = reader->to_plain();
    return reading;
}

std::string canonical(std::string_view body) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    std::string out;
    if (document)
        json::write_canonical(out, document->root());
    return out;
}

/// The type of an event, as its data says it.
std::string type_of(const http::SseEvent& event) {
    const auto document = json::parse(event.data);
    const auto type = document ? Cursor(*document).find("type") : std::nullopt;
    return type ? type->string() : event.data;
}

std::string hex_of(const Sha256& digest) {
    return text::hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

struct Expected {
    json::Value root;
    [[nodiscard]] std::string text(std::string_view name) const {
        const auto member = root.find(name);
        return member ? member->as_string().value_or("") : "";
    }
    [[nodiscard]] std::int64_t count(std::string_view name) const {
        const auto usage = root.find("usage");
        const auto member = usage ? usage->find(name) : std::nullopt;
        return member ? member->as_int().value_or(0) : 0;
    }
};

/// "incomplete:max_output_tokens" of the independent reading is "max_output_tokens" of ours.
std::string reason_of(const Expected& expected) {
    const std::string finish = expected.text("finish");
    const std::size_t colon = finish.find(':');
    return colon == std::string::npos ? finish : finish.substr(colon + 1);
}

void compare(const Answer& answer, const Recording& recording) {
    const auto document = json::parse(recording.expect);
    ASSERT_TRUE(document);
    const Expected expected{document->root()};
    // The independent reading knows no custom tools.
    const bool calls_a_tool =
        expected.root.find("tools")->size() > 0 ||
        recording.response_body.find("\"custom_tool_call\"") != std::string::npos;
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.id, expected.text("id"));
    EXPECT_EQ(answer.model, expected.text("model"));
    EXPECT_EQ(answer.finish_reason, reason_of(expected));
    EXPECT_EQ(hex_of(sha256(answer.text)), expected.text("text_sha256"));
    EXPECT_EQ(answer.has_tool_call, calls_a_tool);
    ASSERT_TRUE(answer.usage);
    EXPECT_EQ(answer.usage->prompt(), expected.count("input_tokens"));
    EXPECT_EQ(answer.usage->cached_input, expected.count("cached_input_tokens"));
    EXPECT_EQ(answer.usage->output, expected.count("output_tokens"));
    EXPECT_EQ(answer.usage->reasoning, expected.count("reasoning_tokens"));
    EXPECT_TRUE(answer.usage->exact);
}

TEST(RecordedResponses, PlainOnesAreReadAsTheIndependentReadingSays) {
    LARDER_NEED_RECORDINGS();
    for (const Recording* recording : answered(false)) {
        SCOPED_TRACE(recording->id + " " + recording->provider);
        const auto answer = read_answer(kDialect, recording->response_body);
        ASSERT_TRUE(answer) << answer.error().message;
        compare(*answer, *recording);
    }
    EXPECT_GT(answered(false).size(), 200U);
}

TEST(RecordedResponses, StreamsAreReadAsTheIndependentReadingSays) {
    LARDER_NEED_RECORDINGS();
    for (const Recording* recording : answered(true)) {
        SCOPED_TRACE(recording->id + " " + recording->provider);
        const auto reading = read_events(events_of(recording->response_body));
        ASSERT_TRUE(reading) << reading.error().message;
        compare(reading->answer, *recording);
        EXPECT_EQ(reading->text, reading->answer.text);
    }
    EXPECT_GT(answered(true).size(), 110U);
}

TEST(RecordedResponses, RefusalsAndCutOnesAreNoWholeAnswers) {
    LARDER_NEED_RECORDINGS();
    std::map<Finish, int> finishes;
    for (const bool stream : {false, true}) {
        for (const Recording* recording : answered(stream)) {
            const auto reading = read_events(events_of(recording->response_body));
            const auto answer = stream ? Result<Answer>(reading->answer)
                                       : read_answer(kDialect, recording->response_body);
            ++finishes[answer->finish];
        }
    }
    EXPECT_EQ(finishes[Finish::kRefused], 2);
    EXPECT_EQ(finishes[Finish::kBounded], 5);
    EXPECT_EQ(finishes[Finish::kUnknown], 0);
}

TEST(RecordedResponses, AStreamsPlainAnswerIsTheResponseOfItsLastEvent) {
    LARDER_NEED_RECORDINGS();
    for (const Recording* recording : answered(true)) {
        SCOPED_TRACE(recording->id);
        const auto events = events_of(recording->response_body);
        const auto reading = read_events(events);
        ASSERT_TRUE(reading);
        const auto last = std::ranges::find_if(events, [](const http::SseEvent& event) {
            const std::string type = type_of(event);
            return type == "response.completed" || type == "response.incomplete";
        });
        ASSERT_NE(last, events.end());
        const auto document = json::parse(last->data);
        EXPECT_EQ(reading->plain, Cursor(*document).find("response")->raw());
    }
}

TEST(RecordedResponses, ReadTheSameByteByByte) {
    LARDER_NEED_RECORDINGS();
    std::size_t count = 0;
    for (const Recording* recording : answered(true)) {
        if (++count % 8 != 0)
            continue;
        const auto whole = read_events(events_of(recording->response_body));
        const auto split = read_events(events_of(recording->response_body, 1));
        ASSERT_TRUE(whole && split);
        EXPECT_EQ(split->plain, whole->plain) << recording->id;
        EXPECT_EQ(split->text, whole->text) << recording->id;
    }
}

TEST(RecordedResponses, NeverEndWhenTheyAreCut) {
    LARDER_NEED_RECORDINGS();
    for (const Recording* recording : answered(true)) {
        auto events = events_of(recording->response_body);
        while (!events.empty() && !type_of(events.back()).starts_with("response."))
            events.pop_back();
        ASSERT_FALSE(events.empty());
        events.pop_back();
        const auto reading = read_events(events);
        ASSERT_TRUE(reading);
        EXPECT_FALSE(reading->answer.ended) << recording->id;
        EXPECT_FALSE(reading->answer.id.empty()) << recording->id;
    }
}

TEST(RecordedResponses, PutTheOutputTogetherWhereTheLastEventHasNone) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording* recording : answered(true)) {
        SCOPED_TRACE(recording->id);
        auto events = events_of(recording->response_body);
        const auto whole = read_events(events);
        ASSERT_TRUE(whole);
        const auto plain = json::parse(whole->plain);
        const auto output = Cursor(*plain).find("output");
        for (http::SseEvent& event : events) {
            if (const std::size_t at = event.data.find(output->raw());
                type_of(event) == "response.completed" && at != std::string::npos)
                event.data.replace(at, output->raw().size(), "[]");
        }
        const auto without = read_events(events);
        ASSERT_TRUE(without);
        EXPECT_EQ(without->answer.text, whole->answer.text);
        EXPECT_EQ(without->answer.has_tool_call, whole->answer.has_tool_call);
        EXPECT_EQ(without->answer.finish, whole->answer.finish);
        ++compared;
    }
    EXPECT_GT(compared, 110U);
}

void expect_same_after_a_stream(std::string_view plain) {
    const auto stream = plain_to_stream(kDialect, plain, false);
    ASSERT_TRUE(stream);
    const auto events = events_of(*stream);
    for (const http::SseEvent& event : events) {
        EXPECT_EQ(event.data.find('\n'), std::string::npos);
        EXPECT_EQ(event.name, type_of(event));
    }
    const auto back = read_events(events);
    ASSERT_TRUE(back) << back.error().message;
    ASSERT_TRUE(back->answer.ended);
    EXPECT_EQ(canonical(back->plain), canonical(plain));
    EXPECT_EQ(back->text, back->answer.text);
}

TEST(RecordedResponses, SurviveTheWayIntoAStreamAndBack) {
    LARDER_NEED_RECORDINGS();
    for (const Recording* recording : answered(false)) {
        SCOPED_TRACE(recording->id);
        expect_same_after_a_stream(recording->response_body);
    }
    for (const Recording* recording : answered(true)) {
        SCOPED_TRACE(recording->id);
        const auto reading = read_events(events_of(recording->response_body));
        ASSERT_TRUE(reading);
        expect_same_after_a_stream(reading->plain);
    }
}

/// The types of a stream's events, each run of one type once: how many deltas there are is free.
std::vector<std::string> shape_of(const std::vector<http::SseEvent>& events) {
    std::vector<std::string> shape;
    for (const http::SseEvent& event : events) {
        const std::string type = type_of(event);
        if (type != "[DONE]" && type != "response.queued" &&
            (shape.empty() || shape.back() != type))
            shape.push_back(type);
    }
    return shape;
}

/// Streams whose events differ from what a replay of their response can know.
bool has_a_shape_of_its_own(const Recording& recording) {
    static const std::set<std::string_view> kOwn = {
        "4bbacdfdca59f85a", // deltas after an annotation
        "1537857668dfd8eb", // deltas after an annotation
        "fd37b884297c3f68", // deltas after an annotation
        "f80dfc95dc97d6d2", // its items overlap (OpenRouter)
    };
    return kOwn.contains(recording.id);
}

TEST(RecordedResponses, AReplayHasTheEventsThatTheApiSent) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording* recording : answered(true)) {
        if (has_a_shape_of_its_own(*recording))
            continue;
        SCOPED_TRACE(recording->id + " " + recording->provider);
        const auto sent = events_of(recording->response_body);
        const auto reading = read_events(sent);
        ASSERT_TRUE(reading);
        const auto stream = plain_to_stream(kDialect, reading->plain, false);
        ASSERT_TRUE(stream);
        EXPECT_EQ(shape_of(events_of(*stream)), shape_of(sent));
        ++compared;
    }
    EXPECT_GT(compared, 100U);
}

using MembersOfTypes = std::map<std::string, std::set<std::string>>;

/// Adds the members of each event, of its part and its item, under the event's type.
void collect(const std::vector<http::SseEvent>& events, MembersOfTypes& members) {
    for (const http::SseEvent& event : events) {
        const auto document = json::parse(event.data);
        if (!document)
            continue;
        const Cursor root(*document);
        const std::string type = root.find("type")->string();
        for (const Member& member : root.members()) {
            const std::string name(member.name);
            if (name != "obfuscation")
                members[type].insert(name);
            if (name != "item" && name != "part")
                continue;
            const std::string kind = member.value.find("type")->string();
            for (const Member& inner : member.value.members())
                members[type + " " + kind].insert(std::string(inner.name));
        }
    }
}

TEST(RecordedResponses, AReplaysEventsHaveTheMembersThatTheApiSends) {
    LARDER_NEED_RECORDINGS();
    MembersOfTypes sent;
    MembersOfTypes replayed;
    for (const Recording* recording : answered(true)) {
        const auto events = events_of(recording->response_body);
        const auto reading = read_events(events);
        ASSERT_TRUE(reading);
        collect(events, sent);
        collect(events_of(*plain_to_stream(kDialect, reading->plain, false)), replayed);
    }
    ASSERT_GT(sent.size(), 25U);
    sent.erase("response.queued");
    // OpenRouter's reasoning gets its content after it was added.
    sent["response.output_item.added reasoning"].insert("content");
    EXPECT_EQ(replayed, sent);
}

TEST(RecordedResponses, NumberTheirEventsWithoutAGap) {
    LARDER_NEED_RECORDINGS();
    for (const Recording* recording : answered(false)) {
        const auto stream = plain_to_stream(kDialect, recording->response_body, false);
        ASSERT_TRUE(stream);
        std::int64_t next = 0;
        for (const http::SseEvent& event : events_of(*stream)) {
            const auto document = json::parse(event.data);
            ASSERT_TRUE(document);
            EXPECT_EQ(Cursor(*document).find("sequence_number")->value().as_int(), next++);
        }
    }
}

TEST(RecordedResponses, BeginAsTheApiBegins) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording* recording : answered(true)) {
        if (recording->provider != "openai" || recording->has_tag("server_tool"))
            continue;
        SCOPED_TRACE(recording->id);
        const auto sent = events_of(recording->response_body);
        const auto reading = read_events(sent);
        const auto stream = plain_to_stream(kDialect, reading->plain, false);
        const auto theirs = json::parse(sent.front().data);
        const auto replayed = events_of(*stream);
        const auto ours = json::parse(replayed.front().data);
        for (const Member& member : Cursor(*theirs).find("response")->members()) {
            // They are settled while the answer comes.
            if (member.name == "service_tier" || member.name == "moderation" ||
                (member.name == "status" && member.value.equals("queued")))
                continue;
            const auto own = Cursor(*ours).find("response")->find(member.name);
            ASSERT_TRUE(own) << member.name;
            EXPECT_EQ(canonical(own->raw()), canonical(member.value.raw())) << member.name;
        }
        ++compared;
    }
    EXPECT_GT(compared, 90U);
}

TEST(RecordedResponses, RequestsAreRead) {
    LARDER_NEED_RECORDINGS();
    std::map<std::string, int> reasons;
    for (const Recording& recording : *all_recordings()) {
        SCOPED_TRACE(recording.id);
        const auto document = json::parse(recording.request_body);
        ASSERT_TRUE(document);
        const auto call = read_call(kDialect, *document);
        if (recording.request_body.find("\"temperature\":-1") != std::string::npos) {
            EXPECT_FALSE(call);
            continue;
        }
        ASSERT_TRUE(call) << call.error().message;
        EXPECT_EQ(call->model.empty(),
                  recording.request_body.find("\"model\"") == std::string::npos);
        EXPECT_EQ(call->prompt_bytes > 0, call->bypass != "stored_prompt");
        const auto same = write_request(kDialect, *document, kDialect, *call, call->model, true);
        ASSERT_TRUE(same);
        EXPECT_EQ(*same, recording.request_body);
        ++reasons[call->bypass];
    }
    EXPECT_GT(reasons[""], 300);
    for (const char* reason : {"previous_response", "conversation", "stored_prompt", "hosted_tool",
                               "background", "file_id", "item_reference"})
        EXPECT_GT(reasons[reason], 0) << reason;
}

TEST(RecordedResponses, OfAnothersFixturesSurviveTheWayIntoAStreamAndBack) {
    const std::filesystem::path path(larder::testing::recordings_path());
    const auto fixtures = larder::testing::load_recordings(
        path.parent_path() / "responses_only.jsonl",
        [](const auto& one) { return one.api == "openai.responses" && one.status == 200; });
    if (!fixtures)
        GTEST_SKIP() << fixtures.error().message;
    std::size_t compared = 0;
    std::size_t failed = 0;
    std::size_t shortened = 0;
    for (const Recording& recording : *fixtures) {
        SCOPED_TRACE(recording.id);
        std::string plain = recording.response_body;
        if (recording.stream) {
            const auto reading = read_events(events_of(plain));
            if (!reading) {
                EXPECT_EQ(reading.error().code, ErrorCode::kProviderRejected);
                ++failed;
                continue;
            }
            ASSERT_TRUE(reading->answer.ended);
            const bool is_whole = reading->text == reading->answer.text;
            EXPECT_EQ(reading->answer.finish == Finish::kUnknown, !is_whole);
            shortened += is_whole ? 0 : 1;
            plain = reading->plain;
        }
        expect_same_after_a_stream(plain);
        ++compared;
    }
    EXPECT_GT(compared, 60U);
    EXPECT_EQ(failed, 1U);    // a quota is exceeded
    EXPECT_EQ(shortened, 2U); // by hand: their deltas lack text that the response has
}

TEST(RecordedResponses, PassEveryEventToEveryClient) {
    LARDER_NEED_RECORDINGS();
    for (const Recording* recording : answered(true)) {
        const std::string& body = recording->response_body;
        for (const bool include_usage : {false, true}) {
            EXPECT_EQ(stream_for_client(kDialect, body, include_usage), body);
            for (const http::SseEvent& event : events_of(body))
                EXPECT_TRUE(is_for_client(kDialect, event, include_usage));
        }
    }
}

} // namespace
} // namespace larder::protocol
