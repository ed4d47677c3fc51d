#include "gateway/provider_reply.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "protocol/protocol.hpp"

#include <algorithm>
#include <array>

namespace larder::gateway {
namespace {

constexpr std::size_t kMostFields = 32;
constexpr std::size_t kLongestValue = 1024;

bool comes_through(std::string_view name, int status) {
    static constexpr std::array<std::string_view, 3> kNames{"request-id", "x-request-id",
                                                            "x-should-retry"};
    static constexpr std::array<std::string_view, 2> kOfErrors{"retry-after", "retry-after-ms"};
    if (name.starts_with("openai-") || name.starts_with("anthropic-"))
        return true;
    // Anthropic sends retry-after with a 200, too.
    return std::ranges::find(kNames, name) != kNames.end() ||
           (status != 200 && std::ranges::find(kOfErrors, name) != kOfErrors.end());
}

/// Masks the strings of `value` also where they are escaped, so that no decoder brings a key back.
void mask_strings(const provider::Provider& provider, json::Value value, json::Patch& patch) {
    if (const auto text = value.as_string()) {
        const std::string hidden = masked(provider, *text);
        if (hidden == *text)
            return;
        std::string written;
        json::write_string(written, hidden);
        patch.replace(value.begin(), value.end(), std::move(written));
    }
    value.for_each_member([&](std::string_view, json::Value member) {
        mask_strings(provider, member, patch);
        return true;
    });
    value.for_each_element([&](json::Value element) {
        mask_strings(provider, element, patch);
        return true;
    });
}

} // namespace

http::OwnedFields kept_fields(const http::Fields& fields, int status) {
    http::OwnedFields kept;
    for (const http::Field& field : fields) {
        std::string name = text::lower(field.name);
        if (kept.size() < kMostFields && field.value.size() <= kLongestValue &&
            comes_through(name, status))
            kept.emplace_back(std::move(name), protocol::mask_secrets(field.value));
    }
    return kept;
}

std::string masked(const provider::Provider& provider, std::string_view text) {
    std::string result = protocol::mask_secrets(text);
    const std::string& key = provider.api_key;
    constexpr std::size_t kShortest = 4; // a shorter one is no secret, and stands everywhere
    if (key.size() < kShortest)
        return result;
    for (std::size_t at = result.find(key); at != std::string::npos; at = result.find(key, at + 3))
        result.replace(at, key.size(), "***");
    return result;
}

std::string masked_body(const provider::Provider& provider, std::string_view body) {
    const auto document = json::parse(body, {.depth = 64, .bytes = kLargestError, .nodes = 50'000});
    if (!document)
        return masked(provider, body);
    json::Patch patch;
    mask_strings(provider, document->root(), patch);
    return patch.apply(body);
}

std::string masked_event(const provider::Provider& provider, const http::SseEvent& event) {
    std::string written;
    http::write_sse(written, event.name, masked_body(provider, event.data));
    return written;
}

std::string provider_message(std::string_view body) {
    const auto document = json::parse(body);
    if (!document)
        return {};
    json::Value root = document->root();
    document->root().for_each_element([&root](json::Value first) { // Gemini's, of a stream
        root = first;
        return false;
    });
    auto inner = root.find("error");
    if (inner && inner->is(json::Kind::kString))
        return *inner->as_string();
    const auto message = (inner ? *inner : root).find("message");
    return message ? message->as_string().value_or("") : "";
}

bool is_json(std::string_view content_type) {
    return content_type.empty() || text::lower(content_type).contains("json");
}

bool is_event_stream(std::string_view content_type) {
    return text::lower(content_type).starts_with("text/event-stream");
}

Task<Result<std::string>> read_whole(provider::ProviderCall& call, BudgetShare& share,
                                     std::size_t most) {
    std::string body;
    std::size_t counted = 0;
    while (true) {
        auto more = co_await call.read(body);
        if (!more)
            co_return std::unexpected(std::move(more).error());
        if (!*more)
            co_return body;
        if (body.size() > most)
            co_return fail(ErrorCode::kProviderUnreadable, "the provider's answer is larger than " +
                                                               std::to_string(most) + " bytes");
        if (!share.grow(body.size() - counted))
            co_return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
        counted = body.size();
    }
}

} // namespace larder::gateway
