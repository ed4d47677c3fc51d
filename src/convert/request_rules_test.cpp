// What the readers of requests share, which model takes what, and that the manual names it all.
#include "convert/model_rules.hpp"
#include "convert/request_parts.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

namespace larder::convert {
namespace {

TEST(ModelRules, KnowWhichClaudeTakesAnEffort) {
    for (const std::string_view model :
         {"claude-opus-4-6", "anthropic/claude-sonnet-4.6", "claude-opus-4-7-20260401",
          "claude-sonnet-5", "claude-haiku-10"})
        EXPECT_TRUE(takes_effort(model)) << model;
    for (const std::string_view model :
         {"claude-sonnet-4-5", "claude-opus-4-20250514", "claude-3-7-sonnet-latest",
          "claude-3-5-haiku-20241022", "claude-instant", "gpt-5", ""})
        EXPECT_FALSE(takes_effort(model)) << model;
    EXPECT_FALSE(takes_extra_high_effort("claude-opus-4-6"));
    EXPECT_TRUE(takes_extra_high_effort("claude-opus-4-7"));
    EXPECT_FALSE(takes_later_system("claude-opus-4-7"));
    EXPECT_TRUE(takes_later_system("claude-opus-4-8"));
}

TEST(ModelRules, KnowWhichModelTakesWhichBound) {
    for (const std::string_view model : {"o1", "o3-mini", "openai/o4-mini", "gpt-5", "gpt-5.1"})
        EXPECT_TRUE(takes_completion_bound(model)) << model;
    for (const std::string_view model : {"gpt-4o", "deepseek-chat", "mistral-o1", ""})
        EXPECT_FALSE(takes_completion_bound(model)) << model;
}

TEST(ModelRules, KnowHowAModelIsToldNotToThink) {
    EXPECT_EQ(no_thinking_of("gpt-4o"), NoThinking::kNothing);
    EXPECT_EQ(no_thinking_of("gpt-5-chat-latest"), NoThinking::kNothing);
    EXPECT_EQ(no_thinking_of("gpt-5"), NoThinking::kMinimal);
    EXPECT_EQ(no_thinking_of("openai/gpt-5-nano-2025-08-07"), NoThinking::kMinimal);
    EXPECT_EQ(no_thinking_of("gpt-5.2"), NoThinking::kNone);
    EXPECT_EQ(no_thinking_of("o3"), NoThinking::kCannot);
}

TEST(ModelRules, KnowWhichModelNeverReasons) {
    for (const std::string_view model : {"gpt-4", "gpt-4o-mini", "openai/gpt-4.1", "gpt-4-turbo",
                                         "gpt-3.5-turbo", "chatgpt-4o-latest", "gpt-5-chat-latest"})
        EXPECT_TRUE(never_reasons(model)) << model;
    for (const std::string_view model : {"gpt-5", "gpt-5.1-chat-latest", "o3", "gpt-oss-120b",
                                         "deepseek-reasoner", "my-gpt-4", ""})
        EXPECT_FALSE(never_reasons(model)) << model;
}

/// The manual's chapter under that heading.
std::string chapter(std::string_view heading) {
    std::ifstream file(LARDER_SOURCE_DIR "/docs/conversion.md");
    std::stringstream text;
    text << file.rdbuf();
    const std::string manual = text.str();
    const std::size_t begin = manual.find("## " + std::string(heading));
    if (begin == std::string::npos)
        return {};
    const std::size_t end = manual.find("\n## ", begin);
    return manual.substr(begin, end == std::string::npos ? end : end - begin);
}

void expect_in_manual(std::string_view heading, std::span<const MemberRule> rules) {
    const std::string text = chapter(heading);
    ASSERT_FALSE(text.empty()) << heading;
    EXPECT_GT(rules.size(), 10U);
    for (const MemberRule& rule : rules) {
        const std::string name = "`" + std::string(rule.name) + "`";
        EXPECT_NE(text.find(name), std::string::npos) << name << " is not in \"" << heading << '"';
    }
}

TEST(ConversionManual, NamesEveryMemberThatIsRead) {
    expect_in_manual("Chat to messages", chat_members());
    expect_in_manual("Messages to chat", messages_members());
}

Result<Conversation> read(std::string_view body, Result<Conversation> (*reader)(protocol::Cursor)) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document);
    return reader(protocol::Cursor(*document));
}

TEST(RequestReaders, RefuseHostileShapesWithoutHarm) {
    const char* const bodies[] = {
        "[]",
        "{}",
        R"({"messages":[]})",
        R"({"messages":{}})",
        R"({"messages":[1]})",
        R"({"messages":[{"role":1}]})",
        R"({"messages":[{"role":"user"}]})",
        R"({"messages":[{"role":"user","content":[]}]})",
        R"({"messages":[{"role":"user","content":[[]]}]})",
        R"({"messages":[{"role":"user","content":[{"type":"text","text":1}]}]})",
        R"({"messages":[{"role":"user","content":"a"}],"tools":{}})",
        R"({"messages":[{"role":"user","content":"a"}],"tools":[[]]})",
        R"({"messages":[{"role":"user","content":"a"}],"tool_choice":[]})",
        R"({"messages":[{"role":"user","content":"a"}],"temperature":1e999})",
        R"({"messages":[{"role":"user","content":"a"}],"max_tokens":1.5})",
        R"({"messages":[{"role":"user","content":"a"}],"thinking":1})",
        R"({"messages":[{"role":"user","content":"a"}],"metadata":1,"user":1,"output_config":1})",
    };
    for (const char* body : bodies) {
        for (const auto reader : {&read_chat, &read_messages}) {
            const auto conversation = read(body, reader);
            ASSERT_FALSE(conversation) << body;
            EXPECT_EQ(conversation.error().code, ErrorCode::kInvalidRequest);
        }
    }
}

TEST(RequestReaders, NoteTheClientsOwnNames) {
    const auto chat =
        read(R"({"messages":[{"role":"user","content":"a"}],"n":2,"max_completion_tokens":5})",
             &read_chat);
    ASSERT_TRUE(chat);
    EXPECT_EQ(client_name_of(*chat, "choices"), "n");
    EXPECT_EQ(client_name_of(*chat, "max_tokens"), "max_completion_tokens");
    const auto messages = read(R"({"messages":[{"role":"user","content":"a"}],)"
                               R"("stop_sequences":["x"],"output_config":{"effort":"low"}})",
                               &read_messages);
    ASSERT_TRUE(messages);
    EXPECT_EQ(client_name_of(*messages, "stop"), "stop_sequences");
    EXPECT_EQ(client_name_of(*messages, "thinking"), "output_config.effort");
    EXPECT_EQ(client_name_of(*messages, "seed"), "seed");
}

} // namespace
} // namespace larder::convert
