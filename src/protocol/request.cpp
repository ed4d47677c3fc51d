// The request as the provider gets it, in the same dialect: the client's own bytes with patched
// spans, so that the provider's prompt cache sees what it saw before.
#include "protocol/request.hpp"

namespace larder::protocol {

namespace {

std::string quoted(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 2);
    json::write_string(out, text);
    return out;
}

void set_member(json::Patch& patch, Cursor object, std::string_view name, std::string raw) {
    if (const auto member = object.find(name))
        patch.replace(member->value().begin(), member->value().end(), std::move(raw));
    else
        patch.add_member(object.value(), name, raw);
}

void ask_for_usage(json::Patch& patch, Cursor root) {
    const auto options = root.find("stream_options");
    if (options && options->is_object())
        set_member(patch, *options, "include_usage", "true");
    else
        set_member(patch, root, "stream_options", R"({"include_usage":true})");
}

Result<std::string> patch_request(const json::Document& body, Dialect dialect, const Call& call,
                                  std::string_view model, bool ask_usage) {
    json::Patch patch;
    const Cursor root(body);
    // A stored prompt's own model stays where the client named none.
    const bool is_stored_model = dialect == Dialect::kOpenAiResponses && call.model.empty();
    if (model != call.model && !is_stored_model)
        set_member(patch, root, "model", quoted(model));
    if (dialect == Dialect::kOpenAiChat && call.stream && ask_usage && !call.include_usage)
        ask_for_usage(patch, root);
    if (patch.empty())
        return std::string(body.text());
    return patch.apply(body.text());
}

} // namespace

Result<std::string> write_request(Dialect from, const json::Document& body, Dialect to,
                                  const Call& call, std::string_view model, bool ask_usage) {
    LARDER_ASSERT(to != Dialect::kLlm);
    if (from == to)
        return patch_request(body, to, call, model, ask_usage);
    LARDER_ASSERT(from == Dialect::kLlm && to != Dialect::kGemini);
    const Cursor root(body);
    if (to == Dialect::kOpenAiChat)
        return write_openai_from_llm(root, call, model, ask_usage);
    return write_anthropic_from_llm(root, call, model);
}

} // namespace larder::protocol
