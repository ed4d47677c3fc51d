// What models can do beside text: a table of families, looked through from the top.
#include "llm/capabilities.hpp"

#include <array>
#include <string>

namespace larder::llm {
namespace {

enum class Place : bool { kAtStart, kAnywhere };

struct Family {
    std::string_view name;
    Place place;
    Capabilities can;
};

constexpr Capabilities kAll{.tools = true, .vision = true, .json = true};
constexpr Capabilities kText{.tools = true, .vision = false, .json = true};
constexpr Capabilities kTextAndTools{.tools = true, .vision = false, .json = false};
constexpr Capabilities kTextAndJson{.tools = false, .vision = false, .json = true};
constexpr Capabilities kTextAlone{.tools = false, .vision = false, .json = false};
constexpr Capabilities kNoTools{.tools = false, .vision = true, .json = true};
constexpr Capabilities kNoJson{.tools = true, .vision = true, .json = false};
constexpr Capabilities kVisionAlone{.tools = false, .vision = true, .json = false};

/// The first that fits decides: exceptions stand before their families.
constexpr std::array kFamilies{
    // What answers no chat, speaks, or searches
    Family{"embed", Place::kAnywhere, kTextAlone},
    Family{"whisper", Place::kAnywhere, kTextAlone},
    Family{"moderation", Place::kAnywhere, kTextAlone},
    Family{"guard", Place::kAnywhere, kTextAlone},
    Family{"-tts", Place::kAnywhere, kTextAlone},
    Family{"tts-", Place::kAtStart, kTextAlone},
    Family{"-audio", Place::kAnywhere, kTextAndTools},
    Family{"-realtime", Place::kAnywhere, kTextAndTools},
    Family{"-live-", Place::kAnywhere, kTextAndTools},
    Family{"-search-", Place::kAnywhere, kTextAndJson},
    Family{"-deep-research", Place::kAnywhere, kVisionAlone},
    // OpenAI
    Family{"babbage-", Place::kAtStart, kTextAlone},
    Family{"davinci-", Place::kAtStart, kTextAlone},
    Family{"gpt-3.5-turbo-instruct", Place::kAtStart, kTextAlone},
    Family{"gpt-4o", Place::kAtStart, kAll},
    Family{"gpt-4.", Place::kAtStart, kAll},
    Family{"gpt-4-vision", Place::kAtStart, kVisionAlone},
    Family{"gpt-4-1106-vision", Place::kAtStart, kVisionAlone},
    Family{"gpt-4-1106", Place::kAtStart, kText},
    Family{"gpt-4-0125", Place::kAtStart, kText},
    Family{"gpt-4-turbo-preview", Place::kAtStart, kText},
    Family{"gpt-4-turbo", Place::kAtStart, kAll},
    Family{"gpt-4", Place::kAtStart, kTextAndTools},
    Family{"gpt-5", Place::kAtStart, kAll},
    Family{"chatgpt-4o", Place::kAtStart, kVisionAlone},
    Family{"codex-mini", Place::kAtStart, kAll},
    Family{"o1-mini", Place::kAtStart, kTextAlone},
    Family{"o1-preview", Place::kAtStart, kTextAlone},
    Family{"o3-mini", Place::kAtStart, kText},
    Family{"o1", Place::kAtStart, kAll},
    Family{"o3", Place::kAtStart, kAll},
    Family{"o4", Place::kAtStart, kAll},
    // Anthropic, also as "anthropic.claude-…": JSON is held to from Opus 4.1 and Sonnet 4.5 on
    Family{"claude-2", Place::kAnywhere, kTextAlone},
    Family{"claude-v2", Place::kAnywhere, kTextAlone},
    Family{"claude-instant", Place::kAnywhere, kTextAlone},
    Family{"claude-3", Place::kAnywhere, kNoJson},
    Family{"claude-4-opus", Place::kAnywhere, kNoJson},
    Family{"claude-4-sonnet", Place::kAnywhere, kNoJson},
    Family{"claude-opus-4-0", Place::kAnywhere, kNoJson},
    Family{"claude-opus-4-2", Place::kAnywhere, kNoJson},
    Family{"claude-sonnet-4-0", Place::kAnywhere, kNoJson},
    Family{"claude-sonnet-4-2", Place::kAnywhere, kNoJson},
    Family{"claude-", Place::kAnywhere, kAll},
    // Google
    Family{"gemini-gemma", Place::kAtStart, kTextAlone},
    Family{"gemini-", Place::kAtStart, kAll},
    Family{"gemma-3", Place::kAtStart, kNoTools},
    Family{"gemma", Place::kAtStart, kTextAndJson},
    // Mistral
    Family{"pixtral-", Place::kAtStart, kAll},
    Family{"ministral-3-", Place::kAtStart, kAll},
    Family{"mistral-medium-23", Place::kAtStart, kText},
    Family{"mistral-medium", Place::kAtStart, kAll},
    Family{"mistral-small", Place::kAtStart, kAll},
    Family{"mistral-large-24", Place::kAtStart, kText},
    Family{"mistral-large", Place::kAtStart, kAll},
    Family{"open-mistral-7b", Place::kAtStart, kTextAndJson},
    Family{"open-mixtral-8x7b", Place::kAtStart, kTextAndJson},
    Family{"codestral-mamba", Place::kAnywhere, kTextAndJson},
    // Open weights, under the names that their hosts give them
    Family{"deepseek-r1", Place::kAtStart, kTextAndJson},
    Family{"llama-4", Place::kAtStart, kAll},
    Family{"llama-3.2-11b", Place::kAtStart, kAll},
    Family{"llama-3.2-90b", Place::kAtStart, kAll},
    Family{"grok-4", Place::kAtStart, kAll},
    Family{"llava", Place::kAnywhere, kNoTools},
    Family{"vision", Place::kAnywhere, kAll},
    Family{"-vl", Place::kAnywhere, kAll},
};

bool fits(const Family& family, std::string_view model) {
    return family.place == Place::kAtStart ? model.starts_with(family.name)
                                           : model.find(family.name) != std::string_view::npos;
}

/// The model's own name, in small letters: without an aggregator's vendor, or "ft:" of one that was
/// tuned.
std::string plain_name(std::string_view model) {
    constexpr std::size_t kLongest = 128;
    constexpr std::string_view kTuned = "ft:";
    model.remove_prefix(model.rfind('/') + 1); // npos + 1 is 0
    if (model.starts_with(kTuned))
        model.remove_prefix(kTuned.size());
    std::string name(model.substr(0, kLongest));
    for (char& c : name)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return name;
}

} // namespace

Capabilities capabilities_of(std::string_view /*vendor*/, std::string_view model) {
    const std::string name = plain_name(model);
    for (const Family& family : kFamilies)
        if (fits(family, name))
            return family.can;
    return kText;
}

} // namespace larder::llm
