// Every recorded request of the two APIs, in the other one's words: carried over, or refused with a
// field that the request has; and what came over and back still means the same.
#include "convert/convert.hpp"
#include "protocol/protocol.hpp"
#include "testing/recordings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>

namespace larder::convert {
namespace {

using larder::testing::Recording;

const Result<std::vector<Recording>>& recordings() {
    static const auto loaded =
        larder::testing::load_recordings(larder::testing::recordings_path(), [](const auto& one) {
            return one.api == "openai.chat" || one.api == "anthropic.messages";
        });
    return loaded;
}

#define LARDER_NEED_RECORDINGS()                                                                   \
    if (!recordings())                                                                             \
    GTEST_SKIP() << recordings().error().message

Dialect dialect_of(const Recording& recording) {
    return recording.api == "openai.chat" ? Dialect::kOpenAiChat : Dialect::kAnthropicMessages;
}

Dialect other_than(Dialect dialect) {
    return dialect == Dialect::kOpenAiChat ? Dialect::kAnthropicMessages : Dialect::kOpenAiChat;
}

std::string_view model_of(Dialect dialect) {
    return dialect == Dialect::kOpenAiChat ? "gpt-5.1" : "claude-opus-4-8";
}

/// The request for the other API; nullopt where even its own API would not take it.
std::optional<Result<std::string>> carried(Dialect from, std::string_view body) {
    const auto document = json::parse(body);
    if (!document)
        return std::nullopt;
    const auto call = protocol::read_call(from, *document);
    if (!call)
        return std::nullopt;
    const Dialect to = other_than(from);
    return write_request(from, *document, to, *call, model_of(to));
}

/// Whether "messages[2].content[0].type" leads to something in the body.
bool has_field(json::Value value, std::string_view path) {
    std::optional<json::Value> at = value;
    while (at && !path.empty()) {
        if (path.front() == '[') {
            std::size_t index = 0;
            const auto read = std::from_chars(path.data() + 1, path.data() + path.size(), index);
            path.remove_prefix(static_cast<std::size_t>(read.ptr - path.data()) + 1);
            std::optional<json::Value> found;
            at->for_each_element([&](json::Value element) {
                if (index-- != 0)
                    return true;
                found = element;
                return false;
            });
            at = found;
        } else {
            path.remove_prefix(path.front() == '.' ? 1 : 0);
            const std::size_t end = std::min(path.find_first_of(".["), path.size());
            at = at->find(path.substr(0, end));
            path.remove_prefix(end);
        }
    }
    return at.has_value();
}

struct Count {
    std::size_t carried = 0;
    std::size_t refused = 0;
};

Count count_of(Dialect from) {
    Count count;
    for (const Recording& recording : *recordings()) {
        if (dialect_of(recording) != from)
            continue;
        const auto request = carried(from, recording.request_body);
        if (!request)
            continue;
        SCOPED_TRACE(recording.id + " " + recording.provider);
        if (!*request) {
            ++count.refused;
            const Error& error = request->error();
            const auto document = json::parse(recording.request_body);
            EXPECT_EQ(error.code, ErrorCode::kInvalidRequest);
            EXPECT_TRUE(has_field(document->root(), error.field)) << error.field;
            EXPECT_TRUE(error.message.find("`" + error.field + "`") == 0) << error.message;
            continue;
        }
        ++count.carried;
        const auto document = json::parse(**request);
        EXPECT_TRUE(document) << **request;
        if (!document)
            continue;
        const auto call = protocol::read_call(other_than(from), *document);
        EXPECT_TRUE(call) << call.error().message << " " << **request;
        EXPECT_TRUE(!call || call->stream == recording.stream);
    }
    return count;
}

TEST(RecordedRequests, OfChatAreCarriedToMessagesOrRefusedByField) {
    LARDER_NEED_RECORDINGS();
    const Count count = count_of(Dialect::kOpenAiChat);
    EXPECT_EQ(count.carried, 594U);
    EXPECT_EQ(count.refused, 155U);
}

TEST(RecordedRequests, OfMessagesAreCarriedToChatOrRefusedByField) {
    LARDER_NEED_RECORDINGS();
    const Count count = count_of(Dialect::kAnthropicMessages);
    EXPECT_EQ(count.carried, 350U);
    EXPECT_EQ(count.refused, 54U);
}

struct Span {
    std::size_t begin;
    std::size_t end;
};

/// Where each value of the body stands.
void add_spans(json::Value value, std::vector<Span>& out) {
    out.push_back({value.begin(), value.end()});
    value.for_each_member([&](std::string_view, json::Value member) {
        add_spans(member, out);
        return true;
    });
    value.for_each_element([&](json::Value element) {
        add_spans(element, out);
        return true;
    });
}

TEST(RecordedRequests, WithAnyValueOfAnotherKindAreReadWithoutHarm) {
    LARDER_NEED_RECORDINGS();
    constexpr std::size_t kBytesMax = 3000;
    std::size_t read = 0;
    for (const Recording& recording : *recordings()) {
        const std::string& body = recording.request_body;
        const auto document = json::parse(body);
        if (!document || body.size() > kBytesMax || ++read % 8 != 0)
            continue;
        std::vector<Span> spans;
        add_spans(document->root(), spans);
        for (const Span& span : spans) {
            for (const char* other : {"null", "7", "\"x\"", "[]", "{}", "[{}]", "true"}) {
                json::Patch patch;
                patch.replace(span.begin, span.end, other);
                const auto request = carried(dialect_of(recording), patch.apply(body));
                if (request && *request)
                    ASSERT_TRUE(json::parse(**request)) << **request;
                else if (request)
                    ASSERT_EQ(request->error().code, ErrorCode::kInvalidRequest);
            }
        }
    }
    EXPECT_GT(read, 500U);
}

std::string canonical(std::string_view body) {
    const auto document = json::parse(body);
    std::string out;
    if (document)
        json::write_canonical(out, document->root());
    return out;
}

/// A request that was carried over means the same when it comes back and goes over again.
void expect_stable(Dialect first) {
    std::size_t compared = 0;
    const Dialect second = other_than(first);
    for (const Recording& recording : *recordings()) {
        if (dialect_of(recording) != first)
            continue;
        SCOPED_TRACE(recording.id);
        const auto over = carried(first, recording.request_body);
        // Marks for a prompt cache mean nothing to OpenAI, and don't come back.
        if (!over || !*over || (*over)->find("cache_control") != std::string::npos)
            continue;
        const auto back = carried(second, **over);
        ASSERT_TRUE(back && *back) << (back ? back->error().message : **over);
        const auto again = carried(first, **back);
        ASSERT_TRUE(again && *again) << (again ? again->error().message : **back);
        EXPECT_EQ(canonical(**again), canonical(**over));
        ++compared;
    }
    EXPECT_GT(compared, 300U);
}

TEST(RecordedRequests, OfChatMeanTheSameThereAndBack) {
    LARDER_NEED_RECORDINGS();
    expect_stable(Dialect::kOpenAiChat);
}

TEST(RecordedRequests, OfMessagesMeanTheSameThereAndBack) {
    LARDER_NEED_RECORDINGS();
    expect_stable(Dialect::kAnthropicMessages);
}

} // namespace
} // namespace larder::convert
