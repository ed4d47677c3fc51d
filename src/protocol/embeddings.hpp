// OpenAI's embeddings: a request as a list of inputs, an answer as a list of vectors that are kept
// one by one, and the answer put together from kept ones. Pure, any thread.
#pragma once

#include "protocol/protocol.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::protocol {

inline constexpr std::size_t kMostInputs = 2048;

/// How the vectors of an answer are written.
enum class VectorForm : std::uint8_t {
    kNumbers, // `float`, and where nothing is said
    kBase64,  // little-endian float32
    kOther,   // a vendor's own: its vectors are strings that are never converted
};

/// One element of `input`; `raw` is a view into the body.
struct EmbeddingsInput {
    std::string_view raw;
    std::size_t size = 0; // its part of the prompt: tokens of an array, bytes of a string
};

struct EmbeddingsCall {
    Call call;
    VectorForm form = VectorForm::kNumbers;
    std::string form_name; // of kOther
    std::vector<EmbeddingsInput> inputs;
    bool is_list = false; // `input` is an array of inputs
    bool has_tokens = false;

    struct Span {
        std::size_t begin = 0; // offsets into the body
        std::size_t end = 0;
    };
    Span model_span;
    Span input_span;
};

/// Refuses, with `field` set ("input[3]"): no object, no model, no input or over 2048, an empty
/// one, anything but strings or arrays of tokens, strings beside arrays, wrong types of
/// `encoding_format`, `dimensions`, `user`.
Result<EmbeddingsCall> read_embeddings_call(const json::Document& body);

/// The request for some of the inputs. For all of them in their order: the client's own bytes,
/// patched where the model is another.
std::string write_embeddings_request(std::string_view body, const EmbeddingsCall& call,
                                     std::string_view model, std::span<const std::uint32_t> wanted);

/// Everything that all inputs share in their keys: the body but `input`, `model` (which is added as
/// `model`), `encoding_format` (unless it is a vendor's own) and `user`.
void add_to_fingerprint(llm::FingerprintBuilder& key, const EmbeddingsCall& call,
                        const json::Document& body, std::string_view model);
/// One input as the key has it: however it was written.
Result<std::string> canonical_input(const EmbeddingsInput& input);

/// A vector as it is kept, and where it stood in the answer that it came with.
struct KeptVector {
    std::string_view call; // the same for all vectors of one answer
    std::uint32_t place = 0;
    std::uint32_t count = 0; // of that answer; 0: the answer around it is not kept
    std::string_view before; // the answer up to `data`'s value, without white space
    std::string_view after;  // and from there
    std::string_view vector; // its object without `index`, `embedding` being the last member
};
std::string write_kept_vector(const KeptVector& kept);
/// nullopt for bytes that are none. The views are into `bytes`.
std::optional<KeptVector> read_kept_vector(std::string_view bytes);

/// An answer, split.
struct EmbeddingsAnswer {
    std::string model;
    std::optional<llm::Usage> usage;
    std::string before; // see KeptVector
    std::string after;
    /// In the order of the inputs, see KeptVector::vector; empty: `why_not`.
    std::vector<std::string> vectors;
    std::string why_not;
};
/// Reads an answer of status 200 to a request for `count` inputs in `form`. kProviderUnreadable
/// when it is no object of JSON; kProviderRejected for an error object.
Result<EmbeddingsAnswer> read_embeddings_answer(std::string_view body, std::size_t count,
                                                VectorForm form);

/// How the vector of a KeptVector is written.
VectorForm form_of_vector(std::string_view vector);
/// The same vector written in `form`. Numbers that are float32 keep their value exactly both ways.
Result<std::string> convert_vector(std::string_view vector, VectorForm form);

/// Puts an answer together. Where all vectors of one answer stand in their order, it is that one
/// with all that was around them; else it has the model and the tokens that are given.
std::string write_embeddings_answer(std::span<const KeptVector> vectors, std::string_view model,
                                    std::int64_t tokens);

/// Splits `total` by size, so that the parts' sum is exact.
std::vector<std::int64_t> split_tokens(std::int64_t total, std::span<const std::size_t> sizes);

} // namespace larder::protocol
