// From a request to a plan; each fault is a few lines on top of a made-up answer.
#include "replay/plan.hpp"

#include "base/text.hpp"
#include "replay/answer.hpp"

#include <utility>

namespace larder::replay {
namespace {

using protocol::Dialect;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kOpenAiModels =
    R"({"object":"list","data":[{"id":"gpt-4o","object":"model","created":1715367049,)"
    R"("owned_by":"system"},{"id":"text-embedding-3-small","object":"model",)"
    R"("created":1705948997,"owned_by":"system"}]})";
constexpr std::string_view kAnthropicModels =
    R"({"data":[{"type":"model","id":"claude-sonnet-4-5","display_name":"Claude Sonnet 4.5",)"
    R"("created_at":"2025-09-29T00:00:00Z"}],"has_more":false,)"
    R"("first_id":"claude-sonnet-4-5","last_id":"claude-sonnet-4-5"})";
constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8";

std::string quoted(std::string_view text) {
    std::string out;
    json::write_string(out, text);
    return out;
}

bool asks_for_usage(json::Value body) {
    auto options = body.find("stream_options");
    auto include = options ? options->find("include_usage") : std::nullopt;
    return include && include->as_bool().value_or(false);
}

void set_type(Plan& plan, std::string_view type) {
    plan.fields.emplace_back("content-type", std::string(type));
}

bool has_field(const http::OwnedFields& fields, std::string_view name) {
    for (const auto& [known, value] : fields)
        if (text::equals_ignoring_case(known, name))
            return true;
    return false;
}

Plan plan_embeddings(const ExchangeStore& store, const Asked& asked, const Recorded* recorded) {
    Plan plan;
    auto body = recorded ? in_encoding(recorded->body, asked.body)
                         : store.embeddings().answer(asked.place.provider, asked.body);
    plan.source = recorded && body ? Source::kRecorded : Source::kMadeUp;
    plan.status = recorded ? recorded->status : 200;
    plan.body = body ? *std::move(body) : recorded->body;
    if (recorded)
        plan.fields = recorded->fields;
    if (!has_field(plan.fields, "content-type"))
        set_type(plan, kJson);
    return plan;
}

Plan plan_made_up(const Asked& asked, const AnswerOptions& options) {
    Plan plan;
    plan.source = Source::kMadeUp;
    plan.stream = asks_for_stream(asked.body);
    plan.body = plan.stream
                    ? stream_answer(asked.place.dialect, options, asks_for_usage(asked.body))
                    : plain_answer(asked.place.dialect, options);
    set_type(plan, plan.stream ? kEventStream : kJson);
    plan.fields.emplace_back("x-request-id", "req-" + options.id);
    return plan;
}

/// Everything that looks like a key in the request's head.
std::string keys_of(const Asked& asked) {
    std::string keys;
    for (std::string_view name : {"authorization", "x-api-key", "api-key"})
        if (auto value = asked.fields ? asked.fields->find(name) : std::nullopt)
            keys += (keys.empty() ? "" : ", ") + std::string(*value);
    return keys;
}

/// The stream without its last event or two: what is left has no terminal event.
std::string without_end(const std::string& body) {
    const auto events = split_events(body);
    std::string kept;
    for (std::size_t i = 0; i < events.size() * 2 / 3; ++i)
        kept += events[i];
    return kept;
}

std::string with_error_event(Dialect dialect, const std::string& body) {
    const auto events = split_events(body);
    std::string out;
    for (std::size_t i = 0; i < events.size() / 2; ++i)
        out += events[i];
    return out + error_event(dialect, "The shelf fell down.");
}

AnswerOptions options_for(const Fault& fault, const Asked& asked) {
    AnswerOptions options = made_up_answer(asked.place.dialect, asked.body);
    switch (fault.kind) {
    case FaultKind::kHuge:
        options.text.resize(fault.number, 'x');
        break;
    case FaultKind::kTrickle:
        options.text.resize(40);
        break;
    case FaultKind::kNoUsage:
        options.usage = false;
        break;
    case FaultKind::kFinish:
        options.finish = fault.word;
        break;
    case FaultKind::kEmpty:
        options.text.clear();
        break;
    default:
        break;
    }
    return options;
}

/// What the fault does to an answer that is fine by itself.
void spoil(Plan& plan, const Fault& fault, Dialect dialect) {
    switch (fault.kind) {
    case FaultKind::kHang:
        plan.before = Plan::Event::kHang;
        break;
    case FaultKind::kSlowFirstByte:
        plan.before = Plan::Event::kWait;
        plan.wait = std::chrono::milliseconds(fault.number);
        break;
    case FaultKind::kCutHead:
        plan.before = Plan::Event::kCut;
        break;
    case FaultKind::kGate:
        plan.before = Plan::Event::kGate;
        break;
    case FaultKind::kCutBody:
    case FaultKind::kCutStream:
        plan.middle = Plan::Event::kCut;
        break;
    case FaultKind::kStall:
        plan.middle = Plan::Event::kHang;
        break;
    case FaultKind::kGateMiddle:
        plan.middle = Plan::Event::kGate;
        break;
    case FaultKind::kEndStream:
        plan.body =
            plan.stream ? without_end(plan.body) : plan.body.substr(0, plan.body.size() / 2);
        break;
    case FaultKind::kErrorEvent:
        plan.body = with_error_event(dialect, plan.body);
        break;
    case FaultKind::kGarbage:
        plan.body = "\x01\x02 this is neither JSON nor an event \xff\xfe";
        break;
    case FaultKind::kHalfJson:
        plan.body.resize(plan.body.size() / 2);
        break;
    case FaultKind::kContentType:
        plan.stream = false;
        plan.fields.clear();
        set_type(plan, "text/html");
        plan.body = "<html><body>It works!</body></html>";
        break;
    case FaultKind::kTrickle:
        plan.byte_by_byte = true;
        break;
    default:
        break;
    }
}

} // namespace

std::optional<Place> place_of(std::string_view path) {
    Place place;
    if (path.ends_with("/chat/completions"))
        place.dialect = Dialect::kOpenAiChat;
    else if (path.ends_with("/responses"))
        place.dialect = Dialect::kOpenAiResponses;
    else if (path.ends_with("/embeddings"))
        place.dialect = Dialect::kOpenAiEmbeddings;
    else if (path.ends_with("/messages"))
        place.dialect = Dialect::kAnthropicMessages;
    else
        return std::nullopt;
    path.remove_prefix(1);
    const std::string_view first = path.substr(0, path.find('/'));
    if (first != "v1" && path.find('/') != std::string_view::npos && first != "chat")
        place.provider = first;
    return place;
}

std::optional<Fault> fault_of(const Asked& asked) {
    if (auto header = asked.fields ? asked.fields->find("x-replay-fault") : std::nullopt)
        return parse_fault(*header);
    auto model = asked.body.find("model");
    const std::string name = model ? model->as_string().value_or("") : "";
    const auto slash = name.rfind('/');
    return parse_fault(std::string_view(name).substr(slash == std::string::npos ? 0 : slash + 1));
}

Plan plan_error(Dialect dialect, int status, std::string_view message) {
    Plan plan;
    plan.source = Source::kFault;
    plan.status = status;
    plan.paced = false;
    plan.body = error_answer(dialect, status, message);
    set_type(plan, kJson);
    return plan;
}

Plan plan_fault(const Fault& fault, const Asked& asked, std::uint64_t earlier) {
    const Dialect dialect = asked.place.dialect;
    if (fault.kind == FaultKind::kStatus && earlier < fault.times.value_or(earlier + 1)) {
        Plan plan = plan_error(dialect, static_cast<int>(fault.number),
                               "The provider answers " + std::to_string(fault.number) + ".");
        if (fault.retry_after_ms)
            plan.fields.emplace_back("retry-after-ms", std::to_string(*fault.retry_after_ms));
        if (fault.retry_after)
            plan.fields.emplace_back("retry-after", std::to_string(*fault.retry_after));
        return plan;
    }
    if (fault.kind == FaultKind::kFlaky && earlier < fault.number)
        return plan_error(dialect, 500, "The provider fails now and then.");
    if (fault.kind == FaultKind::kEchoKey)
        return plan_error(dialect, 401, "Incorrect API key provided: " + keys_of(asked) + ".");
    Plan plan = plan_made_up(asked, options_for(fault, asked));
    plan.source = Source::kFault;
    spoil(plan, fault, dialect);
    return plan;
}

std::optional<Plan> plan_other(std::string_view method, std::string_view path,
                               std::string_view body) {
    constexpr std::string_view kVersion = "/v1/";
    const auto at = path.find(kVersion);
    if (at == std::string_view::npos)
        return std::nullopt;
    const bool is_anthropic = path.starts_with("/anthropic/");
    const std::string_view what = path.substr(at + kVersion.size());
    Plan plan;
    plan.source = Source::kMadeUp;
    plan.paced = false;
    set_type(plan, kJson);
    plan.fields.emplace_back(is_anthropic ? "request-id" : "x-request-id", "req-other");
    if (what == "models")
        plan.body = is_anthropic ? kAnthropicModels : kOpenAiModels;
    else if (what == "messages/count_tokens")
        plan.body = R"({"input_tokens":)" + std::to_string(1 + body.size() / 4) + "}";
    else
        plan.body = R"({"object":"other","method":)" + quoted(method) + R"(,"path":)" +
                    quoted(what) + R"(,"body_bytes":)" + std::to_string(body.size()) + "}";
    return plan;
}

Plan plan_answer(const ExchangeStore& store, const Asked& asked) {
    const Recorded* recorded = store.find(
        {.provider = asked.place.provider, .dialect = asked.place.dialect, .body = asked.body});
    if (asked.place.dialect == Dialect::kOpenAiEmbeddings)
        return plan_embeddings(store, asked, recorded);
    if (!recorded)
        return plan_made_up(asked, made_up_answer(asked.place.dialect, asked.body));
    const bool stream = asks_for_stream(asked.body);
    auto body = in_form(*recorded, stream, asks_for_usage(asked.body));
    if (!body)
        return plan_made_up(asked, made_up_answer(asked.place.dialect, asked.body));
    Plan plan;
    plan.status = recorded->status;
    plan.stream = stream && recorded->status == 200;
    plan.body = *std::move(body);
    const bool same_form = recorded->stream == plan.stream || recorded->status != 200;
    for (const auto& [name, value] : recorded->fields)
        if (same_form || !text::equals_ignoring_case(name, "content-type"))
            plan.fields.emplace_back(name, value);
    if (!has_field(plan.fields, "content-type"))
        set_type(plan, plan.stream ? kEventStream : kJson);
    return plan;
}

} // namespace larder::replay
