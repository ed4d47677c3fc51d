// Recorded exchanges with providers, found again by what was asked. Filled once, then read from any
// thread.
#pragma once

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "http/message.hpp"
#include "protocol/protocol.hpp"
#include "replay/embeddings.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace larder::replay {

/// One answer as it was recorded. `generate` is the /llm/generate body of a demo exchange.
struct Recorded {
    std::string provider; // the slug: "other:localhost:3000" is "other-localhost-3000"
    protocol::Dialect dialect = protocol::Dialect::kOpenAiChat;
    bool stream = false;
    int status = 200;
    http::OwnedFields fields;
    std::string body;
    std::string generate;
};

/// The name by which a recorded provider is addressed: lower case, other characters than letters
/// and digits as single "-".
std::string slug(std::string_view provider);

/// Whether a provider's request body asks for a stream.
bool asks_for_stream(json::Value body);

/// The text of the last user message of a provider's request body; its text parts joined.
std::string last_user_text(json::Value body);

/// What is asked: an empty `provider` stands for all of them.
struct Question {
    std::string_view provider;
    protocol::Dialect dialect = protocol::Dialect::kOpenAiChat;
    json::Value body;
};

class ExchangeStore {
public:
    /// Adds the exchanges of a JSON Lines text (one recorded exchange a line) and gives how
    /// many. An Error names the line. Exchanges of other APIs are passed over.
    Result<std::size_t> load(std::string_view json_lines);

    /// The first recorded answer to the question: for the very same body; else one that differs in
    /// `stream_options` or in how "no stream" is written; else one of the other form; else, of
    /// exchanges marked "loose", one for the same model and last user text. nullptr: never
    /// recorded.
    [[nodiscard]] const Recorded* find(const Question& question) const;

    [[nodiscard]] const EmbeddingTable& embeddings() const { return embeddings_; }
    [[nodiscard]] const std::vector<Recorded>& all() const { return recorded_; }

private:
    Result<void> add_line(std::string_view line);
    void add_keys(const Recorded& recorded, json::Value body, bool loose);

    std::vector<Recorded> recorded_;
    EmbeddingTable embeddings_;
    std::unordered_map<Sha256, std::uint32_t, Sha256Hash> by_key_;
};

} // namespace larder::replay
