// A plain chat completion as the chunks that OpenAI's API would have sent, and kept chunks for a
// client that did not ask for the usage.
#include "protocol/answer.hpp"

#include <algorithm>
#include <array>

namespace larder::protocol {

namespace {

/// Top-level members that every chunk repeats; others go with the first chunk.
constexpr std::array<std::string_view, 6> kRepeated = {
    "id", "created", "model", "system_fingerprint", "service_tier", "provider"};

class ChunkWriter {
public:
    ChunkWriter(Cursor root, std::string& out) : out_(out) {
        for (const Member& member : root.members()) {
            if (member.name == "choices" || member.name == "usage" || member.name == "object")
                continue;
            const bool is_repeated = std::ranges::find(kRepeated, member.name) != kRepeated.end();
            append_member(is_repeated ? head_ : extras_, member.name, member.value.raw());
        }
        append_member(head_, "object", "\"chat.completion.chunk\"");
    }
    /// Writes one chunk; `choices` and `more` are JSON members, `more` may be empty.
    void write(std::string_view choices, std::string_view more = {}) {
        out_.append("data: ").append(head_).append(extras_);
        out_.append(",\"choices\":[").append(choices).append("]").append(more).append("}\n\n");
        extras_.clear();
    }

private:
    std::string& out_;
    std::string head_ = "{";
    std::string extras_;
};

struct ChoiceMembers {
    std::string_view index = "0";
    std::optional<Cursor> message;
    std::optional<Cursor> finish_reason;
    std::optional<Cursor> logprobs;
    std::string rest = "{"; // unknown members
};

ChoiceMembers members_of(Cursor choice, std::string_view position) {
    ChoiceMembers members;
    members.index = position;
    for (const Member& member : choice.members()) {
        if (member.name == "index")
            members.index = member.value.raw();
        else if (member.name == "message")
            members.message = member.value;
        else if (member.name == "finish_reason")
            members.finish_reason = member.value;
        else if (member.name == "logprobs")
            members.logprobs = member.value;
        else if (member.name != "delta") // a vendor's plain answers carry an empty one
            append_member(members.rest, member.name, member.value.raw());
    }
    return members;
}

/// `{"index":…,"delta":…,"logprobs":…,"finish_reason":null}`
std::string choice_chunk(const ChoiceMembers& members, std::string_view delta,
                         bool carries_logprobs) {
    std::string out = "{";
    append_member(out, "index", members.index);
    append_member(out, "delta", delta);
    if (members.logprobs)
        append_member(out, "logprobs", carries_logprobs ? members.logprobs->raw() : "null");
    append_member(out, "finish_reason", "null");
    out += '}';
    return out;
}

/// Tool calls with the index that clients put their pieces together by.
std::string indexed_calls(Cursor calls) {
    std::string out = "[";
    std::size_t index = 0;
    for (const Cursor call : calls.elements()) {
        if (index > 0)
            out += ',';
        std::string one = "{";
        append_member(one, "index", std::to_string(index++));
        for (const Member& member : call.members()) {
            if (member.name != "index")
                append_member(one, member.name, member.value.raw());
        }
        out.append(one).append("}");
    }
    out += ']';
    return out;
}

void write_choice(ChunkWriter& writer, const ChoiceMembers& members) {
    std::string first = "{";
    std::string content;
    std::string calls;
    for (const Member& member : members.message->members()) {
        if (member.name == "content" && member.value.is_non_empty_string()) {
            append_member(first, "content", "\"\"");
            content = "{";
            append_member(content, "content", member.value.raw());
            content += '}';
        } else if (member.name == "tool_calls" && member.value.size() > 0) {
            calls = "{";
            append_member(calls, "tool_calls", indexed_calls(member.value));
            calls += '}';
        } else {
            append_member(first, member.name, member.value.raw());
        }
    }
    first += '}';
    writer.write(choice_chunk(members, first, content.empty()));
    if (!content.empty())
        writer.write(choice_chunk(members, content, true));
    if (!calls.empty())
        writer.write(choice_chunk(members, calls, false));

    std::string last = members.rest;
    append_member(last, "index", members.index);
    append_member(last, "delta", "{}");
    if (members.logprobs)
        append_member(last, "logprobs", "null");
    append_member(last, "finish_reason",
                  members.finish_reason ? members.finish_reason->raw() : "null");
    last += '}';
    writer.write(last);
}

bool is_usage_chunk(std::string_view data) {
    constexpr std::string_view kName = "\"usage\"";
    const std::size_t name = data.find(kName);
    if (name == std::string_view::npos || data.substr(name + kName.size()).starts_with(":null"))
        return false; // as in most chunks
    const auto document = json::parse(data);
    if (!document)
        return false;
    const Cursor root(*document);
    const auto choices = root.find("choices");
    const auto usage = root.find("usage");
    return choices && choices->is_array() && choices->size() == 0 && usage && usage->is_object();
}

/// The length of the first event in `bytes`, its blank line included, or all of them.
std::size_t event_length(std::string_view bytes) {
    std::size_t at = 0;
    for (;;) {
        const std::size_t end = bytes.find_first_of("\r\n", at);
        if (end == std::string_view::npos)
            return bytes.size();
        const bool is_pair = bytes.substr(end).starts_with("\r\n");
        const bool is_blank = end == at;
        at = end + (is_pair ? 2 : 1);
        if (is_blank)
            return at;
    }
}

} // namespace

Result<std::string> openai_plain_to_stream(Cursor root, bool include_usage) {
    const auto choices = root.find("choices");
    if (!choices || !choices->is_array())
        return fail(ErrorCode::kProviderUnreadable, "the kept answer has no choices");
    std::string out;
    out.reserve(root.raw().size() * 2 + 512);
    ChunkWriter writer(root, out);
    std::size_t position = 0;
    for (const Cursor choice : choices->elements()) {
        const std::string text_of_position = std::to_string(position++);
        const ChoiceMembers members = members_of(choice, text_of_position);
        if (!members.message || !members.message->is_object())
            return fail(ErrorCode::kProviderUnreadable, "the kept answer has no message");
        write_choice(writer, members);
    }
    const auto usage = root.find("usage");
    if (include_usage && usage && usage->is_object()) {
        std::string more = "{";
        append_member(more, "usage", usage->raw());
        more.front() = ',';
        writer.write({}, more);
    }
    out += "data: [DONE]\n\n";
    return out;
}

bool is_for_client(Dialect dialect, const http::SseEvent& event, bool include_usage) {
    return include_usage || dialect != Dialect::kOpenAiChat || !is_usage_chunk(event.data);
}

std::string stream_for_client(Dialect dialect, std::string_view sse_bytes, bool include_usage) {
    if (include_usage || dialect != Dialect::kOpenAiChat)
        return std::string(sse_bytes);
    if (sse_bytes.find("\"usage\"") == std::string_view::npos)
        return std::string(sse_bytes);
    std::string out;
    out.reserve(sse_bytes.size());
    std::vector<http::SseEvent> events;
    while (!sse_bytes.empty()) {
        const std::string_view bytes = sse_bytes.substr(0, event_length(sse_bytes));
        sse_bytes.remove_prefix(bytes.size());
        if (bytes.find("\"usage\"") != std::string_view::npos) {
            events.clear();
            http::SseDecoder decoder;
            if (decoder.feed(bytes, events) && events.size() == 1 && is_usage_chunk(events[0].data))
                continue;
        }
        out.append(bytes);
    }
    return out;
}

} // namespace larder::protocol
