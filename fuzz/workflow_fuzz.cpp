// Fuzzes workflows: any bytes give a Workflow whose order holds, or an Error that says something;
// its texts are put together and its conditions decided over outputs that look like templates.
#include "workflow/estimate.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

namespace {

using namespace larder;
using namespace larder::workflow;

constexpr std::size_t kMost = 64U << 10U;

void check(bool is_so) {
    if (!is_so)
        __builtin_trap();
}

void check_order(const Workflow& read) {
    check(!read.steps.empty() && read.steps.size() <= kMostSteps);
    check(read.last_step < read.steps.size());
    for (std::size_t i = 0; i < read.steps.size(); ++i) {
        int deepest = 0;
        for (const std::size_t other : read.steps[i].depends_on) {
            check(other < i);
            deepest = std::max(deepest, read.steps[other].depth);
        }
        check(read.steps[i].depth == deepest + 1 && read.steps[i].depth <= kDeepestChain);
    }
}

void render_bounded(const Template& text, const Scope& scope) {
    const auto out = render(text, scope, kMost);
    check(out ? out->size() <= kMost : !out.error().message.empty());
}

void render_all(const Workflow& read, const Scope& scope) {
    std::size_t looks_left = kMostLookedAt;
    for (const Step& step : read.steps) {
        if (step.when)
            static_cast<void>(holds(*step.when, scope, looks_left));
        if (step.system)
            render_bounded(*step.system, scope);
        for (const Message& message : step.messages)
            render_bounded(message.content, scope);
        if (step.for_each)
            static_cast<void>(find(step.for_each->in, scope));
    }
    if (read.output)
        render_bounded(*read.output, scope);
}

/// What reads the same references again is the same template.
void check_references(const Template& text) {
    for (const auto& piece : text.pieces) {
        const auto* const reference = std::get_if<Reference>(&piece);
        if (reference == nullptr)
            continue;
        const auto again = read_reference("{{" + reference->text() + "}}", "again");
        check(again && again->kind == reference->kind && again->name == reference->name &&
              again->path == reference->path);
    }
}

} // namespace

/// The workflow, then a zero byte, then its input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t zero = std::min(text.find('\0'), text.size());
    const auto document = json::parse(text.substr(0, zero));
    if (!document) {
        if (const auto loose = read_template(text, "prompt"))
            check_references(*loose);
        return 0;
    }
    const auto read = read_workflow(document->root(), {});
    if (!read) {
        check(!read.error().message.empty());
        return 0;
    }
    check_order(*read);
    for (const Step& step : read->steps)
        for (const Message& message : step.messages)
            check_references(message.content);
    const auto input =
        JsonText::parse(zero < text.size() ? std::string(text.substr(zero + 1)) : "{}");
    if (!input)
        return 0;
    const auto fits = check_input(*read, **input);
    check(fits || !fits.error().field.empty());
    std::map<std::string, StepOutput, std::less<>> outputs;
    for (const Step& step : read->steps)
        outputs[step.id] = {.text = R"({"items": ["{{input.a}}", 1], "kind": "{{item}}"})",
                            .json = nullptr};
    const Item item{.value = *input, .index = 3};
    render_all(*read, {.input = input->get(), .outputs = &outputs, .item = &item});
    check(estimate(*read, provider::Catalog(), Limits()).cost.picodollars >= 0);
    return 0;
}
