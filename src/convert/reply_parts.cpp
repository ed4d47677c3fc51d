// Arguments in pieces, ids of calls, and deltas gathered into a reply.
#include "convert/reply_parts.hpp"

#include "base/json.hpp"
#include "protocol/answer.hpp"

#include <algorithm>

namespace larder::convert {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";

Result<json::Document> parse_arguments(std::string_view text) {
    return json::parse(text, {.depth = kMostArgumentDepth, .bytes = kMostHeldBytes});
}

} // namespace

std::unexpected<Error> unreadable(std::string_view reason) {
    return fail(ErrorCode::kProviderUnreadable,
                "the provider's answer can't be read: " + std::string(reason));
}

std::string string_of(protocol::Cursor object, std::string_view name) {
    const auto member = object.find(name);
    return member ? member->string() : std::string();
}

std::string call_id(std::string_view reply_id, std::size_t call) {
    constexpr std::size_t kMostOfId = 64;
    std::string id = "call_";
    for (const char c : reply_id.substr(0, kMostOfId)) {
        const bool is_plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        id += is_plain ? c : '_';
    }
    return id + "_" + std::to_string(call);
}

void append_input(std::string& out, std::string_view text) {
    const auto document = parse_arguments(text);
    if (document && document->root().is(json::Kind::kObject))
        protocol::append_compact(out, document->root().raw());
    else
        out += "{}";
}

bool CallArguments::ends_with(char c) {
    if (in_string_) {
        if (escaped_)
            escaped_ = false;
        else if (c == '\\')
            escaped_ = true;
        else if (c == '"')
            in_string_ = false;
        return false;
    }
    if (c == '"')
        in_string_ = true;
    else if (c == '{' || c == '[')
        ++depth_;
    else if (c == '}' || c == ']')
        --depth_;
    return depth_ == 0;
}

Result<std::string_view> CallArguments::add(std::string_view piece) {
    constexpr std::string_view kNoObject = "the arguments of a tool call are no JSON object";
    if (is_empty()) {
        piece.remove_prefix(std::min(piece.find_first_not_of(kWhiteSpace), piece.size()));
        if (!piece.empty() && piece.front() != '{')
            return unreadable(kNoObject);
    }
    std::size_t used = 0;
    while (used < piece.size() && !complete_) {
        if (in_string_ && !escaped_)
            used = std::min(piece.find_first_of("\"\\", used), piece.size() - 1);
        complete_ = ends_with(piece[used++]);
    }
    if (piece.substr(used).find_first_not_of(kWhiteSpace) != std::string_view::npos)
        return unreadable(kNoObject);
    const std::string_view own = piece.substr(0, used);
    if (text_.size() + own.size() > kMostHeldBytes)
        return unreadable("the arguments of a tool call are too long");
    text_ += own;
    if (complete_ && !text_.empty()) {
        if (!parse_arguments(text_))
            return unreadable(kNoObject);
        text_ = std::string();
    }
    return own;
}

Reply gather(std::span<const Delta> deltas) {
    Reply reply;
    for (const Delta& delta : deltas) {
        if (delta.usage)
            reply.usage = delta.usage;
        switch (delta.kind) {
        case Delta::Kind::kStart:
            reply.id = delta.id;
            reply.model = delta.model;
            break;
        case Delta::Kind::kPartBegin:
            reply.parts.push_back({.kind = delta.part,
                                   .text = {},
                                   .signature = {},
                                   .id = delta.id,
                                   .name = delta.name});
            break;
        case Delta::Kind::kPartText:
            if (!reply.parts.empty())
                reply.parts.back().text += delta.text;
            break;
        case Delta::Kind::kSignature:
            if (!reply.parts.empty())
                reply.parts.back().signature = delta.text;
            break;
        case Delta::Kind::kEnd:
            reply.end = delta.end;
            reply.stop_sequence = delta.stop_sequence;
            break;
        case Delta::Kind::kPartEnd:
        case Delta::Kind::kUsage:
            break;
        }
    }
    return reply;
}

} // namespace larder::convert
