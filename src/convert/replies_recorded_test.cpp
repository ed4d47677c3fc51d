// Every recorded answer of the two APIs, brought into the other's form: what a client is shown of
// the live stream, of the plain answer and of its replay as a stream is one and the same.
#include "testing/converted.hpp"
#include "testing/recordings.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace larder::convert {
namespace {

using namespace larder::testing;

Edge edge_of(const Recording& recording) {
    if (recording.api == "openai.chat")
        return kChatToMessages;
    return kMessagesToChat;
}

const Result<std::vector<Recording>>& recordings() {
    static const auto loaded =
        larder::testing::load_recordings(larder::testing::recordings_path(), [](const auto& one) {
            return one.status == 200 &&
                   (one.api == "openai.chat" || one.api == "anthropic.messages");
        });
    return loaded;
}

#define LARDER_NEED_RECORDINGS()                                                                   \
    if (!recordings())                                                                             \
    GTEST_SKIP() << recordings().error().message

/// Recordings of status 200 that hold no whole answer.
const std::set<std::string_view> kBroken = {"009fa8e7d5d9ceac", "0f3a95b30e8e582f",
                                            "d03e5dc6435d1f9d"};

/// Whether an answer has what no request of the other API can ask for: tools of the provider's own,
/// custom tools, audio.
bool is_beyond(std::string_view body) {
    for (const std::string_view mark :
         {"server_tool_use", "tool_result\"", "\"custom\":", "\"audio\":{", "\"audio\": {"}) {
        if (body.find(mark) != std::string_view::npos)
            return true;
    }
    return false;
}

TEST(RecordedStreams, ShowTheSameLiveAndReplayed) {
    LARDER_NEED_RECORDINGS();
    std::map<std::string, int> compared;
    int beyond = 0;
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || kBroken.contains(recording.id))
            continue;
        SCOPED_TRACE(recording.id + " " + recording.api + " " + recording.provider);
        const Edge edge = edge_of(recording);
        const auto source = accumulate(edge.from, recording.response_body);
        ASSERT_TRUE(source) << source.error().message;
        const auto plain = write_answer(edge.from, *source, edge.to);
        const auto live = convert_stream(edge, recording.response_body);
        ASSERT_EQ(plain.has_value(), live.has_value())
            << (plain ? "" : plain.error().message) << (live ? "" : live.error().message);
        if (!plain) {
            EXPECT_TRUE(is_beyond(*source)) << plain.error().message;
            ++beyond;
            continue;
        }
        const auto shown = accumulate(edge.to, *live);
        ASSERT_TRUE(shown) << shown.error().message;
        EXPECT_EQ(canonical(*shown), canonical(*plain));
        const auto replay = protocol::plain_to_stream(edge.to, *plain, true);
        ASSERT_TRUE(replay) << replay.error().message;
        const auto replayed = accumulate(edge.to, *replay);
        ASSERT_TRUE(replayed) << replayed.error().message;
        EXPECT_EQ(canonical(*replayed), canonical(*plain));
        ++compared[recording.api];
    }
    EXPECT_EQ(compared["openai.chat"], 214);
    EXPECT_EQ(compared["anthropic.messages"], 163);
    EXPECT_EQ(beyond, 8);
}

TEST(RecordedAnswers, SurviveTheWayIntoAStream) {
    LARDER_NEED_RECORDINGS();
    int compared = 0;
    for (const Recording& recording : *recordings()) {
        if (recording.stream || kBroken.contains(recording.id))
            continue;
        SCOPED_TRACE(recording.id + " " + recording.api + " " + recording.provider);
        const Edge edge = edge_of(recording);
        const auto plain = write_answer(edge.from, recording.response_body, edge.to);
        if (!plain) {
            EXPECT_TRUE(is_beyond(recording.response_body)) << plain.error().message;
            continue;
        }
        const auto replay = protocol::plain_to_stream(edge.to, *plain, true);
        ASSERT_TRUE(replay) << replay.error().message;
        const auto replayed = accumulate(edge.to, *replay);
        ASSERT_TRUE(replayed) << replayed.error().message;
        EXPECT_EQ(canonical(*replayed), canonical(*plain));
        ++compared;
    }
    EXPECT_EQ(compared, 675);
}

TEST(RecordedAnswers, KeepTextUsageAndNamesInTheOtherDialect) {
    LARDER_NEED_RECORDINGS();
    int compared = 0;
    for (const Recording& recording : *recordings()) {
        if (kBroken.contains(recording.id))
            continue;
        SCOPED_TRACE(recording.id + " " + recording.api + " " + recording.provider);
        const Edge edge = edge_of(recording);
        const auto source = recording.stream ? accumulate(edge.from, recording.response_body)
                                             : Result<std::string>(recording.response_body);
        ASSERT_TRUE(source);
        const auto plain = write_answer(edge.from, *source, edge.to);
        if (!plain)
            continue;
        const auto before = protocol::read_answer(edge.from, *source);
        const auto after = protocol::read_answer(edge.to, *plain);
        ASSERT_TRUE(before && after);
        EXPECT_EQ(after->id, before->id);
        EXPECT_EQ(after->model, before->model);
        // A refusal is text of messages.
        if (source->find("\"refusal\":\"") == std::string::npos &&
            source->find("\"refusal\": \"") == std::string::npos)
            EXPECT_EQ(after->text, before->text);
        const llm::Usage was = before->usage.value_or(llm::Usage());
        const llm::Usage is = after->usage.value_or(llm::Usage());
        EXPECT_EQ(is.prompt(), was.prompt());
        EXPECT_EQ(is.cached_input, was.cached_input);
        EXPECT_EQ(is.cache_write, was.cache_write + was.cache_write_1h);
        EXPECT_EQ(is.output, was.output);
        EXPECT_EQ(is.reasoning, was.reasoning);
        ++compared;
    }
    EXPECT_EQ(compared, 1052);
}

/// What stands outside JSON strings.
std::string outside_strings(std::string_view json) {
    std::string out;
    bool in_string = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        if (json[i] == '"')
            in_string = !in_string;
        else if (!in_string)
            out += json[i];
        else if (json[i] == '\\')
            ++i;
    }
    return out;
}

TEST(RecordedStreams, AreConvertedWithEveryByteOfTheProvidersInsideAString) {
    LARDER_NEED_RECORDINGS();
    const std::set<std::string_view> kNames = {"",
                                               "message_start",
                                               "content_block_start",
                                               "content_block_delta",
                                               "content_block_stop",
                                               "message_delta",
                                               "message_stop"};
    std::size_t events = 0;
    for (const Recording& recording : *recordings()) {
        if (!recording.stream)
            continue;
        const auto live = convert_stream(edge_of(recording), recording.response_body);
        if (!live)
            continue;
        for (const http::SseEvent& event : events_of(*live)) {
            EXPECT_TRUE(kNames.contains(event.name)) << event.name;
            EXPECT_TRUE(event.data == "[DONE]" || json::parse(event.data)) << event.data;
            EXPECT_EQ(outside_strings(event.data).find_first_not_of("{}[]:,0123456789nulDONE"),
                      std::string::npos)
                << event.data;
            ++events;
        }
    }
    EXPECT_GT(events, 5000U);
}

} // namespace
} // namespace larder::convert
