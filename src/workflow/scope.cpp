#include "workflow/scope.hpp"

#include "protocol/protocol.hpp"

#include <utility>

namespace larder::workflow {
namespace {

/// Paths and comparisons walk what a text holds, a few thousand times in a workflow.
constexpr json::Limits kLimits{
    .depth = kDeepestJson, .bytes = 64ULL << 20, .nodes = kMostJsonValues};

} // namespace

Result<std::shared_ptr<const JsonText>> JsonText::parse(std::string text) {
    auto parsed = std::make_shared<JsonText>(std::move(text));
    LARDER_TRY(parsed->document_, json::parse(parsed->text_, kLimits));
    return parsed;
}

const JsonText* json_of(StepOutput& output) {
    if (output.json_known)
        return output.json.get();
    output.json_known = true;
    auto parsed = JsonText::parse(output.text);
    if (!parsed && parsed.error().code != ErrorCode::kTooLarge) {
        std::string block = protocol::extract_code(output.text);
        if (block.size() == output.text.size())
            return nullptr;
        parsed = JsonText::parse(std::move(block));
    }
    if (parsed)
        output.json = *std::move(parsed);
    else
        output.json_too_large = parsed.error().code == ErrorCode::kTooLarge;
    return output.json.get();
}

} // namespace larder::workflow
