// What templates and conditions can see while a workflow runs: its input, the outputs of steps that
// are over, and the item of a forEach. On one thread.
#pragma once

#include "base/json.hpp"
#include "workflow/path_index.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace larder::workflow {

inline constexpr std::uint32_t kMostJsonValues = 250'000; // of one text; names of members too
inline constexpr std::uint32_t kDeepestJson = 128;

/// A JSON text that owns its bytes and its parse.
class JsonText {
public:
    /// kInvalidRequest with `position`: no JSON, or too much of it.
    static Result<std::shared_ptr<const JsonText>> parse(std::string text);
    explicit JsonText(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] json::Value root() const { return document_.root(); }
    /// What stands at `path` below `value`, one of its own. nullopt: nothing.
    [[nodiscard]] std::optional<json::Value> follow(json::Value value,
                                                    std::span<const std::string> path) const {
        return paths_.follow(value, path);
    }

private:
    std::string text_;
    json::Document document_;
    mutable PathIndex paths_;
};

/// What a step has said. A skipped one has said nothing: its text is empty and it has no JSON.
struct StepOutput {
    std::string text;
    /// Of a step whose text is JSON; read on first need by `json_of`, nullptr where it is none.
    std::shared_ptr<const JsonText> json;
    bool json_known = false;
    bool json_too_large = false; // it has more values, or is deeper, than is read
};
/// The text as JSON: whole, or the one fenced block of it. nullptr: it is none, or too much.
const JsonText* json_of(StepOutput& output);

struct Item {
    std::shared_ptr<const JsonText> value;
    std::size_t index = 0;
};

struct Scope {
    const JsonText* input = nullptr;                                   // an object
    std::map<std::string, StepOutput, std::less<>>* outputs = nullptr; // of steps that are over
    const Item* item = nullptr;                                        // inside a forEach
};

} // namespace larder::workflow
