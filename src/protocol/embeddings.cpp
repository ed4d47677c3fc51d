// Requests for embeddings: reading, writing for some of the inputs, and what is in their keys.
#include "protocol/embeddings.hpp"

#include "protocol/cursor.hpp"

#include <algorithm>
#include <array>

namespace larder::protocol {
namespace {

std::unexpected<Error> wrong_type(std::string_view field, std::string_view expected) {
    return fail_field(std::string(field),
                      "`" + std::string(field) + "` must be " + std::string(expected));
}

EmbeddingsCall::Span span_of(Cursor value) {
    return {value.value().begin(), value.value().end()};
}

/// A string, or an array of tokens; `field` is its name.
Result<EmbeddingsInput> read_input(Cursor input, const std::string& field) {
    if (input.is_string()) {
        if (input.characters().empty())
            return fail_field(field, "`" + field + "` must not be empty");
        return EmbeddingsInput{input.raw(), input.characters().size()};
    }
    if (!input.is_array())
        return wrong_type(field, "a string or an array of tokens");
    if (input.size() == 0)
        return fail_field(field, "`" + field + "` must not be empty");
    std::size_t index = 0;
    for (const Cursor token : input.elements()) {
        const auto number =
            token.is(json::Kind::kNumber) ? token.value().as_int() : std::optional<std::int64_t>();
        if (!number || *number < 0)
            return wrong_type(field + "[" + std::to_string(index) + "]", "a token: a whole number");
        ++index;
    }
    return EmbeddingsInput{input.raw(), input.size()};
}

Result<void> read_inputs(Cursor input, EmbeddingsCall& call) {
    call.input_span = span_of(input);
    const auto elements = input.elements();
    const bool is_lone =
        !input.is_array() ||
        (input.size() > 0 && (*elements.begin()).is(json::Kind::kNumber)); // one array of tokens
    if (is_lone) {
        LARDER_TRY(const EmbeddingsInput one, read_input(input, "input"));
        call.inputs.push_back(one);
        call.has_tokens = input.is_array();
        return {};
    }
    if (input.size() == 0)
        return fail_field("input", "`input` must not be empty");
    if (input.size() > kMostInputs)
        return fail_field("input", "`input` has " + std::to_string(input.size()) +
                                       " elements, and at most " + std::to_string(kMostInputs) +
                                       " are taken");
    call.is_list = true;
    call.has_tokens = (*elements.begin()).is_array();
    call.inputs.reserve(input.size());
    for (const Cursor element : elements) {
        const std::string field = "input[" + std::to_string(call.inputs.size()) + "]";
        LARDER_TRY(const EmbeddingsInput one, read_input(element, field));
        if (element.is_array() != call.has_tokens)
            return wrong_type(field, "of the same kind as the first: all strings, or all tokens");
        call.inputs.push_back(one);
    }
    return {};
}

Result<void> read_encoding_format(Cursor value, EmbeddingsCall& call) {
    if (!value.is_string())
        return wrong_type("encoding_format", "a string");
    if (value.equals("base64")) {
        call.form = VectorForm::kBase64;
    } else if (!value.equals("float")) {
        call.form = VectorForm::kOther;
        call.form_name = value.string();
    }
    return {};
}

Result<void> read_member(const Member& member, EmbeddingsCall& call) {
    const Cursor value = member.value;
    if (member.name == "model") {
        if (!value.is_string())
            return wrong_type("model", "a string");
        call.model_span = span_of(value);
        call.call.model = value.string();
        if (call.call.model.find_first_not_of(" \t\r\n") == std::string::npos)
            return fail_field("model", "`model` must not be empty");
    } else if (member.name == "input") {
        return read_inputs(value, call);
    } else if (member.name == "encoding_format") {
        return read_encoding_format(value, call);
    } else if (member.name == "dimensions") {
        const auto number =
            value.is(json::Kind::kNumber) ? value.value().as_int() : std::optional<std::int64_t>();
        if (!number || *number < 1)
            return wrong_type("dimensions", "a whole number, 1 or more");
    } else if (member.name == "user" && !value.is_string()) {
        return wrong_type("user", "a string");
    }
    return {};
}

/// Whether a member is there that may change what the vectors are made of (a vendor's
/// `output_dtype`): their base64 is then not known to be float32.
bool has_unknown_member(Cursor root) {
    constexpr std::array<std::string_view, 5> kKnown = {"model", "input", "dimensions",
                                                        "encoding_format", "user"};
    for (const Member& member : root.members()) {
        if (std::ranges::find(kKnown, member.name) == kKnown.end())
            return true;
    }
    return false;
}

bool is_all_in_order(const EmbeddingsCall& call, std::span<const std::uint32_t> wanted) {
    if (wanted.size() != call.inputs.size())
        return false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] != i)
            return false;
    }
    return true;
}

} // namespace

Result<EmbeddingsCall> read_embeddings_call(const json::Document& body) {
    const Cursor root(body);
    if (!root.is_object())
        return fail(ErrorCode::kInvalidRequest, "the body must be a JSON object");
    EmbeddingsCall call;
    for (const Member& member : root.members()) {
        if (!member.value.is_null())
            LARDER_CHECK(read_member(member, call));
    }
    if (call.call.model.empty())
        return fail_field("model", "`model` is missing");
    if (call.inputs.empty())
        return fail_field("input", "`input` is missing");
    if (call.form == VectorForm::kBase64 && has_unknown_member(root)) {
        call.form = VectorForm::kOther;
        call.form_name = "base64";
    }
    for (const EmbeddingsInput& input : call.inputs)
        call.call.prompt_bytes += call.has_tokens ? input.size * 4 : input.size;
    return call;
}

std::string write_embeddings_request(std::string_view body, const EmbeddingsCall& call,
                                     std::string_view model,
                                     std::span<const std::uint32_t> wanted) {
    json::Patch patch;
    if (model != call.call.model) {
        std::string written;
        json::write_string(written, model);
        patch.replace(call.model_span.begin, call.model_span.end, std::move(written));
    }
    if (!is_all_in_order(call, wanted)) {
        std::string inputs = "[";
        for (const std::uint32_t index : wanted) {
            if (inputs.size() > 1)
                inputs += ',';
            inputs += call.inputs[index].raw;
        }
        inputs += ']';
        patch.replace(call.input_span.begin, call.input_span.end, std::move(inputs));
    }
    return patch.apply(body);
}

void add_to_fingerprint(llm::FingerprintBuilder& key, const EmbeddingsCall& call,
                        const json::Document& body, std::string_view model) {
    constexpr std::array<std::string_view, 4> kSkipped = {"input", "model", "user",
                                                          "encoding_format"};
    const std::span<const std::string_view> skipped = kSkipped;
    json::CanonicalOptions options;
    options.skip_top = has_unknown_member(Cursor(body)) ? skipped.first(3) : skipped;
    std::string canonical;
    json::write_canonical(canonical, body.root(), options);
    key.add("dialect", name_of(Dialect::kOpenAiEmbeddings));
    key.add("model", model);
    key.add("body", canonical);
    if (call.form == VectorForm::kOther)
        key.add("encoding_format", call.form_name);
}

Result<std::string> canonical_input(const EmbeddingsInput& input) {
    LARDER_TRY(const json::Document document, json::parse(input.raw));
    std::string canonical;
    canonical.reserve(input.raw.size());
    json::write_canonical(canonical, document.root());
    return canonical;
}

} // namespace larder::protocol
