// Texts with `{{…}}` in them: read once into pieces, then put together with what a scope has. What
// comes out of a reference is text for good: it is never read as a template again. Pure.
#pragma once

#include "base/result.hpp"
#include "workflow/scope.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace larder::workflow {

/// `input.name`, `input.name.a.0.b`, `steps.id.output`, `steps.id.json`, `steps.id.json.a.0.b`,
/// `item`, `item.a.b`, `index`. Parts of a path are member names or indexes; a name with other
/// characters than letters, digits, `_` and `-` is written `["…"]`.
struct Reference {
    enum class Kind : std::uint8_t { kInput, kOutput, kJson, kItem, kIndex };
    Kind kind = Kind::kInput;
    std::string name;              // of the input's member, or the step's id
    std::vector<std::string> path; // below it
    std::size_t position = 0;      // of its `{{`, in bytes of the template

    [[nodiscard]] std::string text() const; // as one writes it, without the braces
};

struct Template {
    std::vector<std::variant<std::string, Reference>> pieces;
    std::size_t bytes = 0; // of the literal pieces
};

/// kInvalidRequest with `field` and `position`: `{{` without its end, an empty or unknown
/// reference. `\{{` stands for the two braces themselves.
Result<Template> read_template(std::string_view text, const std::string& field);
/// A text that is one reference and nothing else ("{{steps.a.json.items}}").
Result<Reference> read_reference(std::string_view text, const std::string& field);

/// The text of a reference: a JSON string unquoted, another value as its JSON, null as nothing.
/// kInvalidRequest with the reference in its message: no such member, or no JSON where a path leads
/// into it. `most`: kTooLarge beyond so many bytes.
Result<void> append(std::string& out, const Reference& reference, const Scope& scope,
                    std::size_t most);
Result<std::string> render(const Template& text, const Scope& scope, std::size_t most);
/// The value itself. nullopt: not there. Its bytes live as long as the scope. Of `steps.id.output`
/// that is its JSON, where it is some; of `index` always nullopt.
std::optional<json::Value> find(const Reference& reference, const Scope& scope);

} // namespace larder::workflow
