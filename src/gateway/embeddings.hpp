// Embeddings: a request as a batch of inputs, each with an entry of its own, of which only the
// missing ones are asked for, in one call. A batch belongs to the frame of its request.
#pragma once

#include "gateway/gateway.hpp"
#include "protocol/embeddings.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::gateway {

/// What a call asks for.
struct AskedVectors {
    struct One {
        llm::Fingerprint key{};
        std::uint64_t epoch = 0; // of the key's fills, when it was looked up
    };
    std::vector<One> ones; // empty where nothing is shared or kept
    std::vector<std::size_t> sizes;
    std::size_t count = 0;
    protocol::VectorForm form = protocol::VectorForm::kNumbers;
};

/// A different input of a batch.
struct BatchElement {
    llm::Fingerprint key{};
    std::uint64_t epoch = 0;
    std::uint32_t place = 0; // where it stands first
    std::optional<Found> found;
    std::string converted; // its vector in the form that the client wants, where it isn't kept so

    [[nodiscard]] bool is_fresh() const { return found && found->fresh; }
};

struct EmbeddingsBatch {
    Prepared prepared;  // its body is written for what is missing
    RouteChoice choice; // where it has a route
    protocol::EmbeddingsCall call;
    std::string stripped;               // the body, where something was taken out of the client's
    std::string_view body;              // the client's, or that one
    llm::FingerprintBuilder key;        // what all keys have in common
    std::vector<BatchElement> elements; // empty when nothing may be shared
    std::vector<std::uint32_t> places;  // for each input, its element
    std::vector<std::uint32_t> asked;   // elements of the flight that was joined

    /// How many inputs have a fresh entry.
    [[nodiscard]] std::size_t hits() const;
    [[nodiscard]] bool is_complete() const; // all have one
    /// Whether every input has an entry, fresh or not.
    [[nodiscard]] bool has_all() const;
    /// Of the oldest entry, 0 for none.
    [[nodiscard]] std::int64_t oldest_ms() const;
    /// What the entries that were found cost, each once; `fresh_only`: of those.
    [[nodiscard]] llm::Money cost(bool fresh_only) const;
    /// Bytes that the answer will have, about.
    [[nodiscard]] std::size_t answer_bytes() const;
};

/// The answer to a batch that has all. kInternal for an entry that can't be read.
Result<std::string> write_answer(const EmbeddingsBatch& batch);

} // namespace larder::gateway
