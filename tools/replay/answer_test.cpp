// Made-up answers read by the protocols' own readers, and streams cut into events.
#include "replay/answer.hpp"

#include "http/sse.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace larder::replay {
namespace {

using protocol::Dialect;
constexpr std::array kDialects{Dialect::kOpenAiChat, Dialect::kAnthropicMessages,
                               Dialect::kOpenAiResponses};

AnswerOptions options_for(Dialect dialect, std::string_view body) {
    auto document = json::parse(body);
    EXPECT_TRUE(document);
    return made_up_answer(dialect, document->root());
}

protocol::Answer read_stream(Dialect dialect, std::string_view bytes) {
    auto reader = protocol::make_stream_reader(dialect);
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    EXPECT_TRUE(decoder.feed(bytes, events));
    for (const auto& event : events)
        EXPECT_TRUE(reader->read(event));
    return reader->answer();
}

TEST(MadeUpAnswer, IsTheSameForTheSameRequestInEitherForm) {
    for (Dialect dialect : kDialects) {
        const auto one = options_for(dialect, R"({"model":"m","messages":[]})");
        const auto same = options_for(dialect, R"({"messages":[],"model":"m","stream":true})");
        const auto other = options_for(dialect, R"({"model":"m","messages":[],"seed":1})");
        EXPECT_EQ(one.text, same.text);
        EXPECT_EQ(one.id, same.id);
        EXPECT_NE(one.text, other.text);
        EXPECT_EQ(one.model, "m");
    }
}

TEST(MadeUpAnswer, IsReadInBothForms) {
    for (Dialect dialect : kDialects) {
        const auto options = options_for(dialect, R"({"model":"m","messages":[]})");
        auto plain = protocol::read_answer(dialect, plain_answer(dialect, options));
        ASSERT_TRUE(plain) << plain.error().message;
        const auto stream = read_stream(dialect, stream_answer(dialect, options, true));
        for (const protocol::Answer& answer : {*plain, stream}) {
            EXPECT_EQ(answer.text, options.text);
            EXPECT_EQ(answer.id, options.id);
            EXPECT_TRUE(answer.ended);
            EXPECT_EQ(answer.finish, protocol::Finish::kWhole);
            ASSERT_TRUE(answer.usage);
            EXPECT_EQ(answer.usage->output, static_cast<std::int64_t>(options.output_tokens));
            EXPECT_EQ(answer.usage->prompt(), static_cast<std::int64_t>(options.prompt_tokens));
        }
    }
}

TEST(MadeUpAnswer, LeavesUsageOutWhenToldTo) {
    for (Dialect dialect : {Dialect::kOpenAiChat, Dialect::kAnthropicMessages}) {
        auto options = options_for(dialect, R"({"model":"m"})");
        options.usage = false;
        EXPECT_EQ(plain_answer(dialect, options).find("usage"), std::string::npos);
        EXPECT_EQ(stream_answer(dialect, options, false).find("usage"), std::string::npos);
    }
}

TEST(ErrorAnswer, IsJsonInTheShapeOfTheApi) {
    for (Dialect dialect : kDialects) {
        const std::string text = error_answer(dialect, 429, "say \"what\"");
        auto document = json::parse(text);
        ASSERT_TRUE(document) << text;
        auto error = document->root().find("error");
        ASSERT_TRUE(error);
        EXPECT_EQ(error->find("type")->as_string(), "rate_limit_error");
        EXPECT_EQ(error->find("message")->as_string(), "say \"what\"");
    }
}

TEST(InForm, TurnsARecordedAnswerIntoTheOtherForm) {
    for (Dialect dialect : kDialects) {
        const auto options = options_for(dialect, R"({"model":"m"})");
        Recorded recorded;
        recorded.dialect = dialect;
        recorded.body = plain_answer(dialect, options);
        auto same = in_form(recorded, false, false);
        ASSERT_TRUE(same);
        EXPECT_EQ(*same, recorded.body);
        auto stream = in_form(recorded, true, true);
        ASSERT_TRUE(stream) << stream.error().message;
        EXPECT_EQ(read_stream(dialect, *stream).text, options.text);
        recorded.stream = true;
        recorded.body = stream_answer(dialect, options, true);
        auto plain = in_form(recorded, false, false);
        ASSERT_TRUE(plain) << plain.error().message;
        EXPECT_EQ(protocol::read_answer(dialect, *plain)->text, options.text);
        recorded.status = 500;
        EXPECT_EQ(*in_form(recorded, false, false), recorded.body);
    }
}

TEST(SplitEvents, CutsAfterEachEmptyLineAndLosesNoByte) {
    const std::vector<std::pair<std::string_view, std::size_t>> cases{
        {"", 0},
        {"data: a\n\n", 1},
        {"data: a\n\ndata: b\n\n", 2},
        {"data: a\r\n\r\ndata: b\r\n\r\n", 2},
        {"data: a\r\rdata: b\r\r", 2},
        {"data: a\n\ndata: cut", 2},
        {": comment\n\ndata: a\n", 2},
        {"event: x\ndata: a\ndata: b\n\n", 1},
    };
    for (const auto& [bytes, count] : cases) {
        const auto events = split_events(bytes);
        EXPECT_EQ(events.size(), count) << bytes;
        std::string joined;
        for (std::string_view event : events)
            joined += event;
        EXPECT_EQ(joined, bytes);
    }
}

} // namespace
} // namespace larder::replay
