#include "workflow/definition_steps.hpp"

#include "provider/route.hpp"
#include "workflow/members.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace larder::workflow {
namespace {

using std::chrono::milliseconds;

constexpr std::array<std::string_view, 17> kStepMembers{
    "id",           "prompt",      "messages",  "system",    "model",  "provider",
    "routingMode",  "temperature", "maxTokens", "dependsOn", "when",   "forEach",
    "outputSchema", "retry",       "timeout",   "cache",     "onError"};
constexpr std::array<std::string_view, 3> kRoles{"system", "user", "assistant"};
constexpr std::array<std::string_view, 2> kMessageMembers{"role", "content"};
constexpr std::array<std::string_view, 3> kForEachMembers{"in", "parallel", "maxItems"};
constexpr std::array<std::string_view, 2> kRetryMembers{"attempts", "delay"};
constexpr std::array<std::string_view, 2> kOnError{"stop", "continue"};

constexpr std::size_t kLongestId = 64;
constexpr std::size_t kLongestName = 256; // of a model, a provider
constexpr std::size_t kMostMessages = 100;
constexpr std::int64_t kMostTokens = 10'000'000;
constexpr std::int64_t kMostParallel = 64;
constexpr std::int64_t kMostAttempts = 10;
constexpr double kHottest = 2;
constexpr milliseconds kLongestDelay{60'000};
constexpr milliseconds kLongestTimeout{24 * 3'600'000};

bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= kLongestId && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
}

/// Reads the elements of a list, until one fails.
Result<void> each_element(json::Value list,
                          const std::function<Result<void>(json::Value, std::size_t)>& read) {
    Result<void> result;
    std::size_t index = 0;
    list.for_each_element([&](json::Value element) {
        result = read(element, index++);
        return result.has_value();
    });
    return result;
}

Result<std::optional<Template>> read_text(const Members& members, std::string_view name) {
    LARDER_TRY(const auto text, members.text(name, kDefinitionBytes));
    if (!text)
        return std::nullopt;
    LARDER_TRY(Template read, read_template(*text, members.field(name)));
    return read;
}

Result<Message> read_message(json::Value value, std::string place) {
    LARDER_TRY(const Members members,
               Members::read(value, std::move(place), "a message", kMessageMembers));
    LARDER_TRY(const auto role, members.choice("role", kRoles));
    if (!role)
        return fail_field(members.field("role"), "a message needs a role");
    LARDER_TRY(auto content, read_text(members, "content"));
    if (!content)
        return fail_field(members.field("content"), "a message needs a content");
    return Message{.role = std::string(kRoles[*role]), .content = *std::move(content)};
}

Result<void> read_messages(const Members& members, Step& step) {
    LARDER_TRY(auto prompt, read_text(members, "prompt"));
    const auto list = members.find("messages");
    if (prompt.has_value() == list.has_value())
        return fail_field(members.field(prompt ? "messages" : "prompt"),
                          "a step has either a prompt or messages");
    step.is_prompt = prompt.has_value();
    if (prompt) {
        if (prompt->pieces.empty())
            return fail_field(members.field("prompt"), "must not be empty");
        step.messages.push_back({.role = "user", .content = *std::move(prompt)});
        return {};
    }
    const std::string place = members.field("messages");
    if (!list->is(json::Kind::kArray) || list->size() == 0)
        return fail_field(place, "must be a list of at least one message");
    if (list->size() > kMostMessages)
        return too_large(place, "a step has at most 100 messages");
    LARDER_CHECK(each_element(*list, [&](json::Value value, std::size_t index) -> Result<void> {
        LARDER_TRY(step.messages.emplace_back(),
                   read_message(value, place + "[" + std::to_string(index) + "]"));
        return {};
    }));
    if (std::ranges::find(step.messages, "user", &Message::role) == step.messages.end())
        return fail_field(place, "needs at least one message of the role user");
    return {};
}

Result<void> read_model(const Members& members, Step& step) {
    LARDER_TRY(auto model, members.text("model", kLongestName));
    LARDER_TRY(auto provider, members.text("provider", kLongestName));
    LARDER_TRY(auto mode, members.text("routingMode", kLongestName));
    if (mode && !provider::route_mode_named(*mode))
        return fail_field(members.field("routingMode"),
                          "must be one of single-model, fallback, load-balance, fastest, cheapest");
    for (const auto& [name, text] : {std::pair("model", &model), std::pair("provider", &provider)})
        if (*text && (*text)->empty())
            return fail_field(members.field(name), "must not be empty");
    step.model = std::move(model).value_or(std::string());
    step.provider = std::move(provider).value_or(std::string());
    step.routing_mode = std::move(mode).value_or(std::string());
    LARDER_TRY(step.max_tokens, members.integer("maxTokens", {.least = 1, .most = kMostTokens}));
    if (const auto temperature = members.find("temperature")) {
        step.temperature = temperature->as_double();
        if (!step.temperature || *step.temperature < 0 || *step.temperature > kHottest)
            return fail_field(members.field("temperature"), "must be a number from 0 to 2");
    }
    return {};
}

Result<std::vector<std::string>> read_depends_on(const Members& members) {
    std::vector<std::string> names;
    const auto list = members.find("dependsOn");
    if (!list)
        return names;
    const std::string place = members.field("dependsOn");
    if (!list->is(json::Kind::kArray))
        return fail_field(place, "must be a list of ids of steps");
    if (list->size() > kMostSteps)
        return too_large(place, "a step depends on at most 64 others");
    LARDER_CHECK(each_element(*list, [&](json::Value value, std::size_t index) -> Result<void> {
        auto name = value.as_string();
        if (!name)
            return fail_field(place + "[" + std::to_string(index) + "]", "must be a step's id");
        names.push_back(*std::move(name));
        return {};
    }));
    return names;
}

Result<void> read_for_each(const Members& step_members, const Limits& limits, Step& step) {
    const auto value = step_members.find("forEach");
    if (!value)
        return {};
    LARDER_TRY(const Members members,
               Members::read(*value, step_members.field("forEach"), "forEach", kForEachMembers));
    LARDER_TRY(const auto list, members.text("in", kDefinitionBytes));
    if (!list)
        return fail_field(members.field("in"), "forEach needs `in`: the list it goes over");
    ForEach for_each;
    LARDER_TRY(for_each.in, read_reference(*list, members.field("in")));
    LARDER_TRY(const auto parallel,
               members.integer("parallel", {.least = 1, .most = kMostParallel}));
    LARDER_TRY(
        const auto items,
        members.integer("maxItems", {.least = 1, .most = static_cast<std::int64_t>(limits.items)}));
    if (parallel)
        for_each.parallel = static_cast<std::size_t>(*parallel);
    if (items)
        for_each.items_max = static_cast<std::size_t>(*items);
    step.for_each = std::move(for_each);
    return {};
}

Result<void> read_output_schema(const Members& members, Step& step) {
    const auto value = members.find("outputSchema");
    if (!value)
        return {};
    const std::string place = members.field("outputSchema");
    if (!value->is(json::Kind::kObject))
        return fail_field(place, "must be a JSON Schema, as an object");
    auto compiled = schema::Schema::compile(*value);
    if (!compiled) {
        Error error = std::move(compiled).error();
        error.field = place + error.field;
        return std::unexpected(std::move(error));
    }
    step.output_schema = std::make_shared<const schema::Schema>(*std::move(compiled));
    step.output_schema_text = std::string(value->raw());
    return {};
}

Result<void> read_tries(const Members& step_members, Step& step) {
    if (const auto value = step_members.find("retry")) {
        LARDER_TRY(const Members members,
                   Members::read(*value, step_members.field("retry"), "retry", kRetryMembers));
        LARDER_TRY(const auto attempts,
                   members.integer("attempts", {.least = 1, .most = kMostAttempts}));
        LARDER_TRY(const auto delay,
                   members.duration("delay", {.least = milliseconds(0), .most = kLongestDelay}));
        if (attempts)
            step.retry.attempts = static_cast<int>(*attempts);
        step.retry.delay = delay.value_or(step.retry.delay);
    }
    LARDER_TRY(step.timeout, step_members.duration(
                                 "timeout", {.least = milliseconds(1), .most = kLongestTimeout}));
    LARDER_TRY(const auto uses_cache, step_members.boolean("cache"));
    step.uses_cache = uses_cache.value_or(false);
    LARDER_TRY(step.on_error, read_on_error(step_members));
    return {};
}

} // namespace

Result<std::optional<OnError>> read_on_error(const Members& members) {
    LARDER_TRY(const auto choice, members.choice("onError", kOnError));
    if (!choice)
        return std::nullopt;
    return *choice == 0 ? OnError::kStop : OnError::kContinue;
}

Result<WrittenStep> read_step(json::Value value, const std::string& place, const Limits& limits) {
    LARDER_TRY(const Members members, Members::read(value, place, "a step", kStepMembers));
    WrittenStep written;
    Step& step = written.step;
    LARDER_TRY(auto id, members.text("id", kDefinitionBytes));
    if (!id || !is_id(*id))
        return fail_field(members.field("id"),
                          "a step needs an id of 1 to 64 letters, digits, _ and -");
    step.id = *std::move(id);
    LARDER_CHECK(read_messages(members, step));
    LARDER_TRY(step.system, read_text(members, "system"));
    LARDER_CHECK(read_model(members, step));
    LARDER_TRY(written.depends_on, read_depends_on(members));
    if (const auto when = members.find("when")) {
        LARDER_TRY(step.when, read_condition(*when, members.field("when")));
    }
    LARDER_CHECK(read_for_each(members, limits, step));
    LARDER_CHECK(read_output_schema(members, step));
    LARDER_CHECK(read_tries(members, step));
    return written;
}

Result<void> visit_references(const Template& text, Use use, std::string_view member,
                              const ReferenceVisitor& visit) {
    for (const auto& piece : text.pieces)
        if (const auto* reference = std::get_if<Reference>(&piece))
            LARDER_CHECK(visit(*reference, use, member));
    return {};
}

Result<void> visit_references(const Step& step, const ReferenceVisitor& visit) {
    if (step.system)
        LARDER_CHECK(visit_references(*step.system, Use::kText, "system", visit));
    for (std::size_t i = 0; i < step.messages.size(); ++i) {
        const std::string member = "messages[" + std::to_string(i) + "].content";
        LARDER_CHECK(visit_references(step.messages[i].content, Use::kText,
                                      step.is_prompt ? "prompt" : member, visit));
    }
    if (step.for_each)
        LARDER_CHECK(visit(step.for_each->in, Use::kForEach, "forEach.in"));
    if (step.when) {
        std::vector<const Reference*> references;
        collect(*step.when, references);
        for (const Reference* const reference : references)
            LARDER_CHECK(visit(*reference, Use::kWhen, "when"));
    }
    return {};
}

} // namespace larder::workflow
