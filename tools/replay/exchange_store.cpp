// The table of recorded exchanges: every one stands under several keys, from exact to loose.
#include "replay/exchange_store.hpp"

#include "base/text.hpp"

#include <array>
#include <optional>
#include <utility>

namespace larder::replay {
namespace {

// From the strictest to the loosest; the order in which they are tried.
enum class Step : std::uint8_t { kWhole, kSameForm, kAnyForm, kLooseSameForm, kLoose };
constexpr std::array kSteps{Step::kWhole, Step::kSameForm, Step::kAnyForm, Step::kLooseSameForm,
                            Step::kLoose};
constexpr std::array<std::string_view, 3> kFormMembers{"stream", "stream_options",
                                                       "encoding_format"};

/// The text that a step compares.
std::string compared_text(Step step, json::Value body) {
    std::string text;
    switch (step) {
    case Step::kWhole:
        json::write_canonical(text, body);
        break;
    case Step::kSameForm:
        text = asks_for_stream(body) ? "stream " : "plain ";
        json::write_canonical(text, body, {.skip_top = kFormMembers});
        break;
    case Step::kAnyForm:
        json::write_canonical(text, body, {.skip_top = kFormMembers});
        break;
    case Step::kLooseSameForm:
        text = asks_for_stream(body) ? "stream " : "plain ";
        [[fallthrough]];
    case Step::kLoose:
        if (auto model = body.find("model"))
            text += model->as_string().value_or("");
        text.push_back('\n');
        text += last_user_text(body);
        break;
    }
    return text;
}

Sha256 key_of(Step step, std::string_view provider, protocol::Dialect dialect,
              std::string_view compared) {
    const std::array<char, 2> head{static_cast<char>(step), static_cast<char>(dialect)};
    const std::array<std::string_view, 4> parts{std::string_view(head.data(), head.size()),
                                                provider, "\n", compared};
    return sha256(parts);
}

std::string text_of(json::Value object, std::string_view name) {
    auto member = object.find(name);
    return member ? member->as_string().value_or("") : "";
}

std::optional<protocol::Dialect> dialect_of(std::string_view api) {
    if (api == "openai.chat")
        return protocol::Dialect::kOpenAiChat;
    if (api == "anthropic.messages")
        return protocol::Dialect::kAnthropicMessages;
    if (api == "openai.responses")
        return protocol::Dialect::kOpenAiResponses;
    if (api == "openai.embeddings")
        return protocol::Dialect::kOpenAiEmbeddings;
    return std::nullopt;
}

Result<Recorded> read_response(json::Value response) {
    Recorded recorded;
    auto status = response.find("status");
    auto body = response.find("body");
    if (!status || !status->as_int() || !body || !body->as_string())
        return fail(ErrorCode::kInvalidRequest, "response has no status or no body");
    recorded.status = static_cast<int>(*status->as_int());
    recorded.body = *body->as_string();
    if (auto headers = response.find("headers")) {
        headers->for_each_member([&](std::string_view name, json::Value value) {
            if (auto text = value.as_string())
                recorded.fields.emplace_back(std::string(name), *text);
            return true;
        });
    }
    return recorded;
}

} // namespace

std::string slug(std::string_view provider) {
    std::string out;
    for (char c : provider) {
        const char low = text::lower(c);
        const bool kept = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');
        if (kept)
            out.push_back(low);
        else if (!out.empty() && out.back() != '-')
            out.push_back('-');
    }
    while (!out.empty() && out.back() == '-')
        out.pop_back();
    return out;
}

bool asks_for_stream(json::Value body) {
    auto stream = body.find("stream");
    return stream && stream->as_bool().value_or(false);
}

std::string last_user_text(json::Value body) {
    std::string text;
    auto messages = body.find("messages");
    if (!messages)
        messages = body.find("input"); // of responses: a text, or messages among other items
    if (!messages)
        return text;
    text = messages->as_string().value_or("");
    messages->for_each_element([&](json::Value message) {
        if (text_of(message, "role") != "user")
            return true;
        text.clear();
        auto content = message.find("content");
        if (!content)
            return true;
        text = content->as_string().value_or("");
        content->for_each_element([&](json::Value part) {
            text += text_of(part, "text");
            return true;
        });
        return true;
    });
    return text;
}

Result<std::size_t> ExchangeStore::load(std::string_view json_lines) {
    const std::size_t before = recorded_.size();
    std::size_t line_number = 0;
    while (!json_lines.empty()) {
        ++line_number;
        const auto end = json_lines.find('\n');
        const auto line = json_lines.substr(0, end);
        json_lines.remove_prefix(end == std::string_view::npos ? json_lines.size() : end + 1);
        if (text::trim(line).empty())
            continue;
        if (auto added = add_line(line); !added)
            return std::unexpected(
                std::move(added).error().with("line " + std::to_string(line_number)));
    }
    return recorded_.size() - before;
}

Result<void> ExchangeStore::add_line(std::string_view line) {
    LARDER_TRY(const json::Document document, json::parse(line));
    const json::Value root = document.root();
    const auto dialect = dialect_of(text_of(root, "api"));
    auto request = root.find("request");
    auto response = root.find("response");
    if (!dialect || !request || !response)
        return {};
    auto body = request->find("body");
    if (!body || !body->is(json::Kind::kObject))
        return {};
    LARDER_TRY(Recorded recorded, read_response(*response));
    recorded.provider = slug(text_of(root, "provider"));
    recorded.dialect = *dialect;
    recorded.stream = asks_for_stream(*body) && recorded.status == 200;
    if (auto generate = root.find("generate"))
        recorded.generate = generate->raw();
    if (*dialect == protocol::Dialect::kOpenAiEmbeddings && recorded.status == 200)
        embeddings_.learn(recorded.provider, *body, recorded.body);
    add_keys(recorded, *body, text_of(root, "match") == "loose");
    recorded_.push_back(std::move(recorded));
    return {};
}

void ExchangeStore::add_keys(const Recorded& recorded, json::Value body, bool loose) {
    const auto index = static_cast<std::uint32_t>(recorded_.size());
    for (Step step : kSteps) {
        if ((step == Step::kLoose || step == Step::kLooseSameForm) && !loose)
            continue;
        const std::string compared = compared_text(step, body);
        for (std::string_view provider : {std::string_view(recorded.provider), std::string_view()})
            by_key_.try_emplace(key_of(step, provider, recorded.dialect, compared), index);
    }
}

const Recorded* ExchangeStore::find(const Question& question) const {
    for (Step step : kSteps) {
        const std::string compared = compared_text(step, question.body);
        const auto found =
            by_key_.find(key_of(step, question.provider, question.dialect, compared));
        if (found != by_key_.end())
            return &recorded_[found->second];
    }
    return nullptr;
}

} // namespace larder::replay
