// Names and paths of the dialects.
#include "protocol/protocol.hpp"

#include "base/text.hpp"

namespace larder::protocol {

Dialect upstream_dialect(Dialect client, Dialect spoken) {
    const bool is_openai_only =
        client == Dialect::kOpenAiResponses || client == Dialect::kOpenAiEmbeddings;
    return spoken == Dialect::kOpenAiChat && is_openai_only ? client : spoken;
}

std::string_view name_of(Dialect dialect) {
    switch (dialect) {
    case Dialect::kLlm:
        return "llm";
    case Dialect::kOpenAiChat:
        return "openai.chat";
    case Dialect::kAnthropicMessages:
        return "anthropic.messages";
    case Dialect::kOpenAiResponses:
        return "openai.responses";
    case Dialect::kOpenAiEmbeddings:
        return "openai.embeddings";
    case Dialect::kGemini:
        return "gemini.generate";
    }
    return "llm";
}

std::string path_of(Dialect upstream, std::string_view model, bool stream) {
    switch (upstream) {
    case Dialect::kAnthropicMessages:
        return "/v1/messages";
    case Dialect::kOpenAiResponses:
        return "/responses";
    case Dialect::kOpenAiEmbeddings:
        return "/embeddings";
    case Dialect::kGemini:
        return "/models/" + text::percent_encode(model) +
               (stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
    default:
        return "/chat/completions";
    }
}

} // namespace larder::protocol
