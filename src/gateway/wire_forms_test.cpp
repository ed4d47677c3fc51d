// Every client form from both primary forms of both native dialects; kept once, with a true length.
#include "gateway/wire_forms.hpp"

#include "base/json.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

namespace larder::gateway {
namespace {

using cache::PrimaryForm;
using protocol::Dialect;

constexpr std::array kForms{ClientForm::kLlmPlain, ClientForm::kLlmStream, ClientForm::kNativePlain,
                            ClientForm::kNativeStream, ClientForm::kNativeStreamWithUsage};

constexpr std::string_view kChatPlain =
    R"({"id":"c1","object":"chat.completion","created":1,"model":"gpt-4o-x","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}})";
constexpr std::string_view kMessagePlain =
    R"({"id":"m1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}})";

std::unique_ptr<cache::Entry> make_entry(Dialect dialect, PrimaryForm form) {
    auto entry = std::make_unique<cache::Entry>();
    entry->provider = "somebody";
    entry->model = "asked-for";
    entry->finish_reason = "stop";
    entry->usage = {.input = 3, .output = 2, .exact = true};
    entry->dialect = static_cast<std::uint8_t>(dialect);
    entry->form = form;
    const std::string_view plain = dialect == Dialect::kOpenAiChat ? kChatPlain : kMessagePlain;
    entry->body = plain;
    if (form == PrimaryForm::kStream) {
        auto stream = protocol::plain_to_stream(dialect, plain, true);
        EXPECT_TRUE(stream);
        entry->body = stream.value_or("");
    }
    return entry;
}

std::string text_at(const json::Value& root, std::string_view name) {
    const auto value = root.find(name);
    return value ? value->as_string().value_or("") : "";
}

void expect_form(const cache::Entry& entry, ClientForm form) {
    const auto dialect = static_cast<Dialect>(entry.dialect);
    const auto wire = wire_form(entry, form);
    ASSERT_TRUE(wire) << wire.error().message;
    const std::string& body = (*wire)->body;
    EXPECT_NE(body.find("Hello"), std::string::npos) << body;
    EXPECT_TRUE((*wire)->head.starts_with("HTTP/1.1 200 OK\r\n")) << (*wire)->head;
    EXPECT_TRUE((*wire)->head.ends_with("\r\n"));
    EXPECT_NE((*wire)->head.find("\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"),
              std::string::npos)
        << (*wire)->head;
    EXPECT_EQ((*wire)->head.find("\r\n\r\n"), std::string::npos);
    EXPECT_EQ((*wire)->head.contains("text/event-stream"), is_stream(form));
    EXPECT_EQ(*wire_form(entry, form), *wire) << "made once";
    if (!is_stream(form)) {
        const auto document = json::parse(body);
        ASSERT_TRUE(document) << body;
        if (form == ClientForm::kLlmPlain)
            EXPECT_EQ(text_at(document->root(), "text"), "Hello");
        else
            EXPECT_EQ(text_at(document->root(), "id"),
                      dialect == Dialect::kOpenAiChat ? "c1" : "m1");
    } else if (form == ClientForm::kLlmStream) {
        EXPECT_TRUE(body.starts_with("event: delta\n")) << body;
        EXPECT_NE(body.find("event: done\n"), std::string::npos) << body;
    } else if (dialect == Dialect::kOpenAiChat) {
        EXPECT_NE(body.find("data: [DONE]"), std::string::npos) << body;
        EXPECT_EQ(body.contains("prompt_tokens"), form == ClientForm::kNativeStreamWithUsage)
            << body;
    } else {
        EXPECT_NE(body.find("message_stop"), std::string::npos) << body;
        EXPECT_TRUE(body.contains("output_tokens"));
    }
}

TEST(WireForms, AreMadeFromEveryPrimaryFormOfBothDialects) {
    for (const Dialect dialect : {Dialect::kOpenAiChat, Dialect::kAnthropicMessages}) {
        for (const PrimaryForm primary : {PrimaryForm::kPlain, PrimaryForm::kStream}) {
            const auto entry = make_entry(dialect, primary);
            for (const ClientForm form : kForms) {
                SCOPED_TRACE("dialect " + std::to_string(static_cast<int>(dialect)) + " primary " +
                             std::to_string(static_cast<int>(primary)) + " form " +
                             std::to_string(static_cast<int>(form)));
                expect_form(*entry, form);
            }
        }
    }
}

TEST(WireForms, OfThePrimaryFormAreTheProvidersOwnBytes) {
    const auto plain = make_entry(Dialect::kOpenAiChat, PrimaryForm::kPlain);
    EXPECT_EQ(*make_body(*plain, ClientForm::kNativePlain, true), kChatPlain);
    const auto stream = make_entry(Dialect::kAnthropicMessages, PrimaryForm::kStream);
    EXPECT_EQ(*make_body(*stream, ClientForm::kNativeStream, true), stream->body);
}

TEST(WireForms, SayUnderLlmWhetherTheyWereCached) {
    const auto entry = make_entry(Dialect::kOpenAiChat, PrimaryForm::kPlain);
    EXPECT_NE(make_body(*entry, ClientForm::kLlmPlain, true)->find(R"("cached":true)"),
              std::string::npos);
    EXPECT_NE(make_body(*entry, ClientForm::kLlmPlain, false)->find(R"("cached":false)"),
              std::string::npos);
}

TEST(WireForms, OfAnEntryThatCantBeReadAreErrors) {
    for (const std::string_view body : {"", "{", "data: x\n\n", "[]", "\xff"}) {
        const auto entry = make_entry(Dialect::kOpenAiChat, PrimaryForm::kPlain);
        entry->body = body;
        EXPECT_FALSE(wire_form(*entry, ClientForm::kLlmPlain)) << body;
        EXPECT_FALSE(wire_form(*entry, ClientForm::kNativeStream)) << body;
    }
}

TEST(WireForms, FollowTheClientsDialectAndItsWishForAStream) {
    protocol::Call call;
    EXPECT_EQ(form_for(Dialect::kLlm, Dialect::kOpenAiChat, call), ClientForm::kLlmPlain);
    EXPECT_EQ(form_for(Dialect::kOpenAiChat, Dialect::kOpenAiChat, call), ClientForm::kNativePlain);
    call.stream = true;
    EXPECT_EQ(form_for(Dialect::kLlm, Dialect::kOpenAiChat, call), ClientForm::kLlmStream);
    EXPECT_EQ(form_for(Dialect::kAnthropicMessages, Dialect::kAnthropicMessages, call),
              ClientForm::kNativeStream);
    call.include_usage = true;
    EXPECT_EQ(form_for(Dialect::kOpenAiChat, Dialect::kOpenAiChat, call),
              ClientForm::kNativeStreamWithUsage);
}

} // namespace
} // namespace larder::gateway
