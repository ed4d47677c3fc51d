#include "redis/upstash_wire.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "redis/client.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace larder::redis::upstash {
namespace {

constexpr json::Limits kLimits{.depth = 32, .bytes = kAnswerMax, .nodes = 1'000'000};

Error unreadable() {
    return {.code = ErrorCode::kStore,
            .message = "Upstash: an answer that can't be read",
            .detail = "unreadable"};
}

/// How many bytes the UTF-8 sequence at the front of `text` has; 0: it is none.
std::size_t sequence_length(std::string_view text) {
    const auto byte = [text](std::size_t index) -> unsigned {
        return index < text.size() ? static_cast<unsigned char>(text[index]) : 0U;
    };
    const auto follows = [&byte](std::size_t index) { return (byte(index) & 0xC0U) == 0x80U; };
    const unsigned first = byte(0);
    const unsigned second = byte(1);
    if (first < 0x80U)
        return 1;
    if (first >= 0xC2U && first <= 0xDFU)
        return follows(1) ? 2 : 0;
    if (first >= 0xE0U && first <= 0xEFU) {
        const bool fits =
            !(first == 0xE0U && second < 0xA0U) && !(first == 0xEDU && second > 0x9FU);
        return fits && follows(1) && follows(2) ? 3 : 0;
    }
    if (first >= 0xF0U && first <= 0xF4U) {
        const bool fits =
            !(first == 0xF0U && second < 0x90U) && !(first == 0xF4U && second > 0x8FU);
        return fits && follows(1) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

Result<Reply> text_reply(json::Value value) {
    auto text = value.as_plain_string();
    std::string unescaped;
    if (!text) {
        unescaped = value.as_string().value_or("");
        text = unescaped;
    }
    if (*text == "OK")
        return Reply{.kind = Reply::Kind::kStatus, .text = "OK"};
    auto decoded = text::from_base64(*text);
    if (!decoded)
        return std::unexpected(unreadable());
    return Reply{.kind = Reply::Kind::kText, .text = std::move(*decoded)};
}

/// `value` is at most `kLimits.depth` deep.
Result<Reply> reply_of(json::Value value) {
    switch (value.kind()) {
    case json::Kind::kNull:
        return Reply();
    case json::Kind::kFalse:
    case json::Kind::kTrue:
        return Reply{.kind = Reply::Kind::kInteger, .integer = value.is(json::Kind::kTrue) ? 1 : 0};
    case json::Kind::kNumber:
        if (const auto integer = value.as_int())
            return Reply{.kind = Reply::Kind::kInteger, .integer = *integer};
        return Reply{.kind = Reply::Kind::kText, .text = std::string(value.raw())};
    case json::Kind::kString:
        return text_reply(value);
    case json::Kind::kArray:
        break;
    case json::Kind::kObject:
        return std::unexpected(unreadable());
    }
    Reply array{.kind = Reply::Kind::kArray};
    array.items.reserve(value.size());
    bool whole = true;
    value.for_each_element([&array, &whole](json::Value element) {
        auto item = reply_of(element);
        whole = item.has_value();
        if (whole)
            array.items.push_back(std::move(*item));
        return whole;
    });
    if (!whole)
        return std::unexpected(unreadable());
    return array;
}

/// `{"result":…}` or `{"error":"…"}`.
Result<Reply> element_of(json::Value value) {
    if (const auto error = value.find("error")) {
        auto text = error->as_string();
        if (!text || value.find("result"))
            return std::unexpected(unreadable());
        return Reply{.kind = Reply::Kind::kError, .text = std::move(*text)};
    }
    const auto result = value.find("result");
    if (!result)
        return std::unexpected(unreadable());
    return reply_of(*result);
}

bool is_quota(std::string_view text) {
    return text.starts_with("ERR max requests limit") || text.starts_with("ERR max daily request");
}

bool is_refused_token(std::string_view text) {
    return text.starts_with("WRONGPASS") || text.starts_with("NOAUTH");
}

Verdict outage(std::string detail, std::string reason) {
    Verdict verdict{.kind = Verdict::Kind::kOutage, .reason = std::move(reason)};
    verdict.error = {.code = ErrorCode::kStore,
                     .message = "Upstash: " + verdict.reason,
                     .detail = std::move(detail)};
    return verdict;
}

/// Whether an error text means that nothing will work for a while.
std::optional<Verdict> outage_of(std::string_view text) {
    if (is_quota(text))
        return outage("quota", "its quota is used up");
    if (is_refused_token(text))
        return outage("unauthorized", "it refuses the token");
    return std::nullopt;
}

Verdict unsure(Error error, std::string reason) {
    return {.kind = Verdict::Kind::kUnsure, .error = std::move(error), .reason = std::move(reason)};
}

Verdict refused(Error error) {
    return {.kind = Verdict::Kind::kRefused, .error = std::move(error)};
}

Verdict judge_replies(std::vector<Reply> replies) {
    for (const Reply& reply : replies) {
        if (!reply.is_error())
            continue;
        if (auto found = outage_of(reply.text))
            return std::move(*found);
    }
    return {.kind = Verdict::Kind::kReplies, .replies = std::move(replies)};
}

Verdict judge_success(const Answer& answer, Shape shape, std::size_t count) {
    const std::string reason = "its answers can't be read";
    if (shape == Shape::kOne) {
        auto reply = decode_answer(answer.body);
        if (!reply)
            return unsure(std::move(reply).error(), reason);
        std::vector<Reply> one;
        one.push_back(std::move(*reply));
        return judge_replies(std::move(one));
    }
    auto replies = decode_answers(answer.body, count);
    if (!replies)
        return unsure(std::move(replies).error(), reason);
    return judge_replies(std::move(*replies));
}

/// 400: every error of a command, and a quota that is used up.
Verdict judge_bad_request(const Answer& answer, Shape shape) {
    auto reply = decode_answer(answer.body);
    if (!reply || !reply->is_error())
        return unsure(unreadable(), "its answers can't be read");
    if (auto found = outage_of(reply->text))
        return std::move(*found);
    if (shape != Shape::kOne)
        return refused(error_of_text(reply->text));
    Verdict verdict{.kind = Verdict::Kind::kReplies};
    verdict.replies.push_back(std::move(*reply));
    return verdict;
}

} // namespace

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = sequence_length(text);
        if (length == 0)
            return false;
        text.remove_prefix(length);
    }
    return true;
}

Result<void> add_command(std::string& body, const Command& command) {
    for (std::size_t index = 0; index < command.size(); ++index) {
        if (!is_utf8(command[index]))
            return std::unexpected(Error{.code = ErrorCode::kStore,
                                         .message = "Upstash: a value that is no UTF-8",
                                         .detail = "not_utf8"});
    }
    if (!body.empty() && body.back() == ']')
        body += ',';
    body.reserve(body.size() + command.bytes() + command.size() * 3 + 2);
    for (std::size_t index = 0; index < command.size(); ++index) {
        body += index == 0 ? '[' : ',';
        json::write_string(body, command[index]);
    }
    body += ']';
    return {};
}

Result<std::string> encode_command(const Command& command) {
    std::string body;
    LARDER_CHECK(add_command(body, command));
    return body;
}

Result<Reply> decode_answer(std::string_view body) {
    const auto document = json::parse(body, kLimits);
    if (!document)
        return std::unexpected(unreadable());
    return element_of(document->root());
}

Result<std::vector<Reply>> decode_answers(std::string_view body, std::size_t count) {
    const auto document = json::parse(body, kLimits);
    if (!document || !document->root().is(json::Kind::kArray) || document->root().size() != count)
        return std::unexpected(unreadable());
    std::vector<Reply> replies;
    replies.reserve(count);
    document->root().for_each_element([&replies](json::Value element) {
        auto reply = element_of(element);
        if (reply)
            replies.push_back(std::move(*reply));
        return reply.has_value();
    });
    if (replies.size() != count)
        return std::unexpected(unreadable());
    return replies;
}

Error error_of_text(std::string_view text) {
    if (text.starts_with("ERR DB capacity quota exceeded"))
        return error_of("OOM");
    return error_of(text);
}

std::chrono::milliseconds parse_retry_after(std::string_view value) {
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    constexpr std::int64_t kSecondsMax = 86'400;
    if (error != std::errc() || end != value.data() + value.size() || seconds < 0)
        return std::chrono::milliseconds(0);
    return std::chrono::seconds(std::min(seconds, kSecondsMax));
}

Verdict judge(const Answer& answer, Shape shape, std::size_t count) {
    const int status = answer.status;
    if (status == 200)
        return judge_success(answer, shape, count);
    if (status == 400)
        return judge_bad_request(answer, shape);
    if (status == 401 || status == 403)
        return outage("unauthorized", "it refuses the token");
    Error error{.code = ErrorCode::kStore,
                .message = "Upstash: it answered with status " + std::to_string(status),
                .detail = "http_" + std::to_string(status)};
    if (status == 429) {
        return {.kind = Verdict::Kind::kNotRun,
                .error = std::move(error),
                .reason = "it has too many requests",
                .wait = parse_retry_after(answer.retry_after)};
    }
    if (status >= 500) {
        Verdict verdict =
            unsure(std::move(error), "it answers with status " + std::to_string(status));
        verdict.wait = parse_retry_after(answer.retry_after);
        return verdict;
    }
    if (status == 405 || status == 413)
        return refused(std::move(error));
    return unsure(std::move(error), "it answers with status " + std::to_string(status));
}

} // namespace larder::redis::upstash
