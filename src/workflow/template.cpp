#include "workflow/template.hpp"

#include "workflow/limits.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace larder::workflow {
namespace {

constexpr std::string_view kOpening = "{{";
constexpr std::string_view kClosing = "}}";
constexpr std::string_view kSpaces = " \t\r\n";
constexpr std::size_t kLongestName = 256; // of a path's part, in bytes
constexpr std::size_t kLongestPath = 64;  // parts

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

bool is_plain_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, is_name_character);
}

/// Takes a text apart into pieces.
class Reader {
public:
    Reader(std::string_view text, const std::string& field) : text_(text), field_(field) {}

    Result<Template> read() {
        Template out;
        std::string literal;
        std::size_t references = 0;
        const auto end_literal = [&] {
            out.bytes += literal.size();
            if (!literal.empty())
                out.pieces.emplace_back(std::exchange(literal, {}));
        };
        while (at_ < text_.size()) {
            const std::size_t opening = std::min(text_.find(kOpening, at_), text_.size());
            literal.append(text_.substr(at_, opening - at_));
            const bool is_escaped = opening > at_ && text_[opening - 1] == '\\';
            at_ = opening;
            if (at_ == text_.size())
                break;
            if (is_escaped) {
                literal.back() = '{';
                literal += '{';
                at_ += kOpening.size();
                continue;
            }
            if (++references > kMostReferences)
                return refuse(ErrorCode::kTooLarge,
                              "a workflow has at most 2000 references between {{ and }}");
            end_literal();
            LARDER_TRY(Reference reference, read_reference());
            out.pieces.emplace_back(std::move(reference));
        }
        end_literal();
        return out;
    }

private:
    /// From its `{{` to behind its `}}`.
    Result<Reference> read_reference() {
        begin_ = at_;
        at_ += kOpening.size();
        skip_spaces();
        LARDER_TRY(std::vector<std::string> parts, read_parts());
        skip_spaces();
        if (at_ >= text_.size())
            return refuse("{{ has no }} to end it; \\{{ stands for the braces themselves");
        if (!text_.substr(at_).starts_with(kClosing))
            return refuse("there is something other than a reference between {{ and }}; " +
                          std::string(kForms));
        at_ += kClosing.size();
        return make_reference(std::move(parts));
    }

    Result<std::vector<std::string>> read_parts() {
        std::vector<std::string> parts;
        LARDER_TRY(parts.emplace_back(), read_plain_name());
        while (at_ < text_.size()) {
            if (text_[at_] == '.') {
                ++at_;
                LARDER_TRY(parts.emplace_back(), read_plain_name());
            } else if (text_[at_] == '[') {
                LARDER_TRY(parts.emplace_back(), read_bracket());
            } else {
                break;
            }
            if (parts.size() > kLongestPath)
                return refuse(ErrorCode::kTooLarge, "a reference has at most 64 parts");
        }
        return parts;
    }

    Result<std::string> read_plain_name() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_name_character(text_[at_]))
            ++at_;
        if (at_ == begin && at_ == text_.size())
            return refuse("{{ has no }} to end it; \\{{ stands for the braces themselves");
        if (at_ == begin)
            return refuse(std::string("there is no reference here; ") + std::string(kForms));
        if (at_ - begin > kLongestName)
            return refuse(ErrorCode::kTooLarge, "a name in a reference has at most 256 bytes");
        return std::string(text_.substr(begin, at_ - begin));
    }

    /// `["a name"]` or `[0]`.
    Result<std::string> read_bracket() {
        ++at_;
        std::string name;
        if (at_ < text_.size() && text_[at_] == '"') {
            LARDER_TRY(name, read_quoted());
        } else {
            LARDER_TRY(name, read_plain_name());
            if (!std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; }))
                return refuse("in brackets stands an index, or a name in quotes: [\"name\"]");
        }
        if (at_ >= text_.size() || text_[at_] != ']')
            return refuse("a bracket of this reference has no end");
        ++at_;
        return name;
    }

    Result<std::string> read_quoted() {
        std::size_t end = at_ + 1;
        while (end < text_.size() && text_[end] != '"')
            end += text_[end] == '\\' ? 2 : 1;
        if (end >= text_.size())
            return refuse("a quoted name of this reference has no end");
        if (end - at_ > kLongestName)
            return refuse(ErrorCode::kTooLarge, "a name in a reference has at most 256 bytes");
        const std::string_view written = text_.substr(at_, end + 1 - at_);
        const auto parsed = json::parse(written);
        if (!parsed)
            return refuse("a quoted name of this reference is no JSON string");
        at_ = end + 1;
        return parsed->root().as_string().value_or(std::string());
    }

    Result<Reference> make_reference(std::vector<std::string> parts) const {
        Reference reference;
        reference.position = begin_;
        std::size_t used = 1;
        if (parts[0] == "input" && parts.size() >= 2) {
            reference.kind = Reference::Kind::kInput;
            reference.name = std::move(parts[1]);
            used = 2;
        } else if (parts[0] == "steps" && parts.size() == 3 && parts[2] == "output") {
            reference.kind = Reference::Kind::kOutput;
            reference.name = std::move(parts[1]);
            used = 3;
        } else if (parts[0] == "steps" && parts.size() >= 3 && parts[2] == "json") {
            reference.kind = Reference::Kind::kJson;
            reference.name = std::move(parts[1]);
            used = 3;
        } else if (parts[0] == "item") {
            reference.kind = Reference::Kind::kItem;
        } else if (parts[0] == "index" && parts.size() == 1) {
            reference.kind = Reference::Kind::kIndex;
        } else {
            return refuse("this reference leads nowhere; " + std::string(kForms));
        }
        reference.path.assign(
            std::make_move_iterator(parts.begin() + static_cast<std::ptrdiff_t>(used)),
            std::make_move_iterator(parts.end()));
        return reference;
    }

    [[nodiscard]] std::unexpected<Error> refuse(ErrorCode code, std::string message) const {
        return std::unexpected(Error{.code = code,
                                     .message = std::move(message),
                                     .field = field_,
                                     .position = begin_,
                                     .detail = {}});
    }
    [[nodiscard]] std::unexpected<Error> refuse(std::string message) const {
        return refuse(ErrorCode::kInvalidRequest, std::move(message));
    }

    void skip_spaces() { at_ = std::min(text_.find_first_not_of(kSpaces, at_), text_.size()); }

    static constexpr std::string_view kForms =
        "a reference is input.NAME, steps.ID.output, steps.ID.json, item or index, and a path "
        "behind it like .a.0.b or [\"a name\"]";

    std::string_view text_;
    const std::string& field_;
    std::size_t at_ = 0;
    std::size_t begin_ = 0; // of the reference that is being read
};

StepOutput* output_of(const Reference& reference, const Scope& scope) {
    if (scope.outputs == nullptr)
        return nullptr;
    const auto found = scope.outputs->find(reference.name);
    return found == scope.outputs->end() ? nullptr : &found->second;
}

Result<void> append_text(std::string& out, std::string_view text, std::size_t most) {
    if (out.size() > most || text.size() > most - out.size())
        return fail(ErrorCode::kTooLarge, "what the template is put together to has more than " +
                                              std::to_string(most) + " bytes");
    out.append(text);
    return {};
}

Result<void> append_value(std::string& out, json::Value value, std::size_t most) {
    if (value.is(json::Kind::kNull))
        return {};
    if (!value.is(json::Kind::kString))
        return append_text(out, value.raw(), most);
    if (const auto plain = value.as_plain_string())
        return append_text(out, *plain, most);
    return append_text(out, value.as_string().value_or(std::string()), most);
}

std::unexpected<Error> missing(const Reference& reference, const Scope& scope) {
    std::string why = "there is no such member";
    if (reference.kind == Reference::Kind::kJson) {
        StepOutput* const output = output_of(reference, scope);
        if (output == nullptr)
            why = "the step has no output";
        else if (json_of(*output) == nullptr)
            why = output->text.empty()     ? "the step has no output"
                  : output->json_too_large ? "the step's output is more JSON than is read"
                                           : "the step's output is no JSON";
    } else if (reference.kind == Reference::Kind::kOutput) {
        why = "the step has no output";
    } else if (reference.kind != Reference::Kind::kInput && scope.item == nullptr) {
        why = "there is no item outside a forEach";
    }
    return fail(ErrorCode::kInvalidRequest, "{{" + reference.text() + "}}: " + why);
}

} // namespace

std::string Reference::text() const {
    std::string out;
    const auto append_part = [&out](const std::string& part) {
        if (is_plain_name(part)) {
            out.append(".").append(part);
            return;
        }
        out += '[';
        json::write_string(out, part);
        out += ']';
    };
    switch (kind) {
    case Kind::kInput:
        out = "input";
        append_part(name);
        break;
    case Kind::kOutput:
    case Kind::kJson:
        out = "steps";
        append_part(name);
        out += kind == Kind::kJson ? ".json" : ".output";
        break;
    case Kind::kItem:
        out = "item";
        break;
    case Kind::kIndex:
        out = "index";
        break;
    }
    for (const std::string& part : path)
        append_part(part);
    return out;
}

Result<Template> read_template(std::string_view text, const std::string& field) {
    return Reader(text, field).read();
}

Result<Reference> read_reference(std::string_view text, const std::string& field) {
    const std::size_t begin = std::min(text.find_first_not_of(kSpaces), text.size());
    const std::size_t end = text.find_last_not_of(kSpaces);
    const std::string_view inner =
        begin == text.size() ? std::string_view() : text.substr(begin, end + 1 - begin);
    LARDER_TRY(Template read, read_template(inner, field));
    if (read.pieces.size() != 1 || !std::holds_alternative<Reference>(read.pieces.front()))
        return fail_field(
            field, "must be one reference and nothing else, like \"{{steps.list.json.items}}\"");
    Reference reference = std::get<Reference>(std::move(read.pieces.front()));
    reference.position += begin;
    return reference;
}

Result<void> append(std::string& out, const Reference& reference, const Scope& scope,
                    std::size_t most) {
    if (reference.kind == Reference::Kind::kOutput) {
        const StepOutput* const output = output_of(reference, scope);
        if (output == nullptr)
            return missing(reference, scope);
        return append_text(out, output->text, most);
    }
    if (reference.kind == Reference::Kind::kIndex) {
        if (scope.item == nullptr)
            return missing(reference, scope);
        return append_text(out, std::to_string(scope.item->index), most);
    }
    const auto value = find(reference, scope);
    if (!value)
        return missing(reference, scope);
    return append_value(out, *value, most);
}

Result<std::string> render(const Template& text, const Scope& scope, std::size_t most) {
    std::string out;
    for (const auto& piece : text.pieces) {
        if (const auto* literal = std::get_if<std::string>(&piece))
            LARDER_CHECK(append_text(out, *literal, most));
        else
            LARDER_CHECK(append(out, std::get<Reference>(piece), scope, most));
    }
    return out;
}

std::optional<json::Value> find(const Reference& reference, const Scope& scope) {
    switch (reference.kind) {
    case Reference::Kind::kInput: {
        if (scope.input == nullptr)
            return std::nullopt;
        const auto member = scope.input->follow(scope.input->root(), std::span(&reference.name, 1));
        return member ? scope.input->follow(*member, reference.path) : std::nullopt;
    }
    case Reference::Kind::kOutput:
    case Reference::Kind::kJson: {
        StepOutput* const output = output_of(reference, scope);
        const JsonText* const text = output == nullptr ? nullptr : json_of(*output);
        return text == nullptr ? std::nullopt : text->follow(text->root(), reference.path);
    }
    case Reference::Kind::kItem:
        if (scope.item == nullptr || scope.item->value == nullptr)
            return std::nullopt;
        return scope.item->value->follow(scope.item->value->root(), reference.path);
    case Reference::Kind::kIndex:
        return std::nullopt;
    }
    return std::nullopt;
}

} // namespace larder::workflow
