// Embeddings, element by element: recorded vectors where there are any, made-up ones elsewhere, in
// the encoding that is asked for. Filled once, then read from any thread.
#pragma once

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace larder::replay {

using Vector = std::vector<float>;

class EmbeddingTable {
public:
    /// Takes the vectors of a recorded answer of status 200, the first of equal ones.
    void learn(std::string_view provider, json::Value request, std::string_view answer);
    /// An answer of the API for all elements of `request`; the same vector for the same element.
    [[nodiscard]] std::string answer(std::string_view provider, json::Value request) const;

private:
    std::unordered_map<Sha256, Vector, Sha256Hash> by_element_;
};

/// The elements of `input`, each as the JSON text that stands for it. A list of numbers is one.
std::vector<std::string> elements_of(json::Value request);
/// The recorded answer with its vectors in the encoding that `request` asks for.
Result<std::string> in_encoding(std::string_view recorded, json::Value request);

} // namespace larder::replay
