// A plain response as the typed events that OpenAI's API would have sent: each text, refusal, set
// of arguments and summary comes in one delta.
#include "protocol/openai_responses.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace larder::protocol {

namespace {

/// One event after the other, each with the next sequence number.
class EventWriter {
public:
    explicit EventWriter(std::string& out) : out_(out) {}
    void begin(std::string_view type) {
        out_.append("event: ").append(type).append("\ndata: {");
        std::string quoted;
        json::write_string(quoted, type);
        append_member(out_, "type", quoted);
        append_member(out_, "sequence_number", std::to_string(sequence_number_++));
    }
    void add(std::string_view name, std::string_view raw) { append_member(out_, name, raw); }
    void end() { out_ += "}\n\n"; }

private:
    std::string& out_;
    std::int64_t sequence_number_ = 0;
};

/// Where in the output an event belongs; all raw JSON.
struct Place {
    std::string item_id;
    std::string output_index;
    std::string_view part_name = {}; // "content_index", "summary_index", or none
    std::string part_index = {};

    void begin(EventWriter& writer, std::string_view type) const {
        writer.begin(type);
        writer.add("item_id", item_id);
        writer.add("output_index", output_index);
        if (!part_name.empty())
            writer.add(part_name, part_index);
    }
};

/// One string that streams: the events of its deltas and of its end, and what carries it there.
struct TextEvents {
    std::string_view delta;
    std::string_view done;
    std::string_view member;
};

constexpr TextEvents kOutputText = {"response.output_text.delta", "response.output_text.done",
                                    "text"};
constexpr TextEvents kRefusal = {"response.refusal.delta", "response.refusal.done", "refusal"};
constexpr TextEvents kReasoning = {"response.reasoning_text.delta", "response.reasoning_text.done",
                                   "text"};
constexpr TextEvents kSummary = {"response.reasoning_summary_text.delta",
                                 "response.reasoning_summary_text.done", "text"};
constexpr TextEvents kArguments = {"response.function_call_arguments.delta",
                                   "response.function_call_arguments.done", "arguments"};
constexpr TextEvents kCustomInput = {"response.custom_tool_call_input.delta",
                                     "response.custom_tool_call_input.done", "input"};

struct Part {
    std::string_view type;
    TextEvents events;
};

constexpr std::array<Part, 3> kParts = {{
    {"output_text", kOutputText},
    {"refusal", kRefusal},
    {"reasoning_text", kReasoning},
}};

/// Tools that the provider runs show how far they are between their first and their last event.
struct Progress {
    std::string_view type;
    std::string_view between; // or none
};

constexpr std::array<Progress, 4> kProgress = {{
    {"web_search_call", "searching"},
    {"file_search_call", "searching"},
    {"code_interpreter_call", "interpreting"},
    {"mcp_list_tools", ""},
}};

std::string type_of(Cursor object) {
    const auto type = object.find("type");
    return type ? type->string() : std::string();
}

std::string raw_or(Cursor object, std::string_view name, std::string_view otherwise) {
    const auto member = object.find(name);
    return std::string(member ? member->raw() : otherwise);
}

/// The object with its streamed members empty, as it is when it begins. `emptied` are strings and
/// arrays that grow.
std::string emptied(Cursor object, std::span<const std::string_view> growing) {
    std::string out = "{";
    for (const Member& member : object.members()) {
        std::string_view raw = member.value.raw();
        if (std::ranges::find(growing, member.name) != growing.end()) {
            if (member.value.is_string())
                raw = "\"\"";
            else if (member.value.is_array())
                raw = "[]";
        } else if (member.name == "status") {
            raw = "\"in_progress\"";
        }
        append_member(out, member.name, raw);
    }
    out += '}';
    return out;
}

void write_delta(EventWriter& writer, const Place& place, const TextEvents& events, Cursor text,
                 std::string_view log_probabilities) {
    if (!text.is_non_empty_string())
        return;
    place.begin(writer, events.delta);
    writer.add("delta", text.raw());
    if (!log_probabilities.empty())
        writer.add("logprobs", log_probabilities);
    writer.end();
}

void write_done(EventWriter& writer, const Place& place, const TextEvents& events, Cursor text,
                std::string_view log_probabilities) {
    place.begin(writer, events.done);
    writer.add(events.member, text.raw());
    if (!log_probabilities.empty())
        writer.add("logprobs", log_probabilities);
    writer.end();
}

/// A text without log probabilities.
void write_text(EventWriter& writer, const Place& place, const TextEvents& events, Cursor text) {
    write_delta(writer, place, events, text, {});
    write_done(writer, place, events, text, {});
}

void write_annotations(EventWriter& writer, const Place& place, Cursor part) {
    const auto annotations = part.find("annotations");
    if (!annotations)
        return;
    std::size_t index = 0;
    for (const Cursor annotation : annotations->elements()) {
        place.begin(writer, "response.output_text.annotation.added");
        writer.add("annotation_index", std::to_string(index++));
        writer.add("annotation", annotation.raw());
        writer.end();
    }
}

void write_part_edge(EventWriter& writer, const Place& place, std::string_view type,
                     std::string_view part) {
    place.begin(writer, type);
    writer.add("part", part);
    writer.end();
}

void write_part(EventWriter& writer, const Place& place, Cursor part) {
    constexpr std::array<std::string_view, 4> kGrowing = {"text", "refusal", "annotations",
                                                          "logprobs"};
    write_part_edge(writer, place, "response.content_part.added", emptied(part, kGrowing));
    const auto known = std::ranges::find(kParts, type_of(part), &Part::type);
    const auto text = known == kParts.end() ? std::nullopt : part.find(known->events.member);
    if (text && text->is_string()) {
        const bool has_log_probabilities = known->type == kParts.front().type;
        const std::string log_probabilities =
            has_log_probabilities ? raw_or(part, "logprobs", "[]") : std::string();
        write_delta(writer, place, known->events, *text, log_probabilities);
        write_annotations(writer, place, part);
        write_done(writer, place, known->events, *text, log_probabilities);
    }
    write_part_edge(writer, place, "response.content_part.done", part.raw());
}

void write_summary(EventWriter& writer, const Place& place, Cursor part) {
    constexpr std::array<std::string_view, 1> kGrowing = {"text"};
    write_part_edge(writer, place, "response.reasoning_summary_part.added",
                    emptied(part, kGrowing));
    if (const auto text = part.find("text"); text && text->is_string())
        write_text(writer, place, kSummary, *text);
    write_part_edge(writer, place, "response.reasoning_summary_part.done", part.raw());
}

using PartWriter = void (*)(EventWriter&, const Place&, Cursor);

void write_parts(EventWriter& writer, Place place, std::optional<Cursor> parts, PartWriter write) {
    if (!parts)
        return;
    std::size_t index = 0;
    for (const Cursor part : parts->elements()) {
        place.part_index = std::to_string(index++);
        write(writer, place, part);
    }
}

void write_progress(EventWriter& writer, const Place& place, std::string_view type) {
    const auto progress = std::ranges::find(kProgress, type, &Progress::type);
    if (progress == kProgress.end())
        return;
    for (const std::string_view step :
         {std::string_view("in_progress"), progress->between, std::string_view("completed")}) {
        if (step.empty())
            continue;
        place.begin(writer, "response." + std::string(type) + "." + std::string(step));
        writer.end();
    }
}

void write_item_edge(EventWriter& writer, const Place& place, std::string_view type,
                     std::string_view item) {
    writer.begin(type);
    writer.add("output_index", place.output_index);
    writer.add("item", item);
    writer.end();
}

/// What comes between the first and the last event of an item.
void write_inside(EventWriter& writer, const Place& place, std::string_view type, Cursor item) {
    if (type == "message" || type == "reasoning") {
        Place part = place;
        part.part_name = "summary_index";
        write_parts(writer, part, item.find("summary"), write_summary);
        part.part_name = "content_index";
        write_parts(writer, part, item.find("content"), write_part);
        return;
    }
    const bool is_call = type == "function_call" || type == "custom_tool_call";
    if (!is_call)
        return write_progress(writer, place, type);
    const TextEvents& events = type == "function_call" ? kArguments : kCustomInput;
    if (const auto text = item.find(events.member); text && text->is_string())
        write_text(writer, place, events, *text);
}

void write_item(EventWriter& writer, Cursor item, std::size_t index) {
    constexpr std::array<std::string_view, 4> kGrowing = {"content", "summary", "arguments",
                                                          "input"};
    const Place place = {.item_id = raw_or(item, "id", "\"\""),
                         .output_index = std::to_string(index)};
    write_item_edge(writer, place, "response.output_item.added", emptied(item, kGrowing));
    write_inside(writer, place, type_of(item), item);
    write_item_edge(writer, place, "response.output_item.done", item.raw());
}

/// The response as it is when it begins.
std::string begun(Cursor root) {
    constexpr std::array<std::string_view, 4> kLater = {"usage", "completed_at",
                                                        "incomplete_details", "error"};
    std::string out = "{";
    for (const Member& member : root.members()) {
        std::string_view raw = member.value.raw();
        if (member.name == "status")
            raw = "\"in_progress\"";
        else if (member.name == "output")
            raw = "[]";
        else if (member.name == "output_text" && member.value.is_string())
            raw = "\"\"";
        else if (std::ranges::find(kLater, member.name) != kLater.end())
            raw = "null";
        append_member(out, member.name, raw);
    }
    out += '}';
    return out;
}

void write_response(EventWriter& writer, std::string_view type, std::string_view response) {
    writer.begin(type);
    writer.add("response", response);
    writer.end();
}

std::string_view terminal_of(Cursor root) {
    const auto status = root.find("status");
    if (status && status->equals("incomplete"))
        return "response.incomplete";
    return status && status->equals("failed") ? "response.failed" : "response.completed";
}

} // namespace

Result<std::string> responses_plain_to_stream(Cursor root) {
    const auto output = root.find("output");
    if (!output || !output->is_array())
        return fail(ErrorCode::kProviderUnreadable, "the kept answer has no output");
    std::string out;
    out.reserve(root.raw().size() * 6 + 1024);
    EventWriter writer(out);
    const std::string first = begun(root);
    write_response(writer, "response.created", first);
    write_response(writer, "response.in_progress", first);
    std::size_t index = 0;
    for (const Cursor item : output->elements())
        write_item(writer, item, index++);
    write_response(writer, terminal_of(root), root.raw());
    return out;
}

} // namespace larder::protocol
