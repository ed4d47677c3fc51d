// Why a request was a miss: what goes into its key, and where two of them differ. Values are shown
// as hashes under a key of this process, so that nothing of a prompt, of a fingerprint or of an
// address is told. Pure, any thread.
#pragma once

#include "gateway/gateway.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::gateway {

/// HMAC-SHA-256 (RFC 2104), the first 16 hexadecimal digits of it.
class ValueHasher {
public:
    using Secret = std::array<unsigned char, 32>;
    ValueHasher(); // with a random secret
    explicit ValueHasher(const Secret& secret);

    /// Of a value of the body in its canonical form; the same wherever it stands.
    [[nodiscard]] std::string of_value(std::string_view canonical) const;
    /// Of another part of the key.
    [[nodiscard]] std::string of_part(std::string_view name, std::string_view value) const;
    [[nodiscard]] std::string of_key(const llm::Fingerprint& key) const;

private:
    [[nodiscard]] std::string hash(std::string_view kind, std::string_view name,
                                   std::string_view value) const;
    std::string inner_;
    std::string outer_;
};

/// One part of a key.
struct ExplainedPart {
    std::string name; // "namespace", "temperature", "messages[0]"
    std::string hash;
    std::size_t bytes = 0;
    std::string shown; // of what is harmless; else empty
    bool in_body = false;
};

struct ExplainedParts {
    std::vector<ExplainedPart> parts;
    std::size_t left_out = 0; // there are more than are listed
};

/// Everything that goes into the key, the body member by member and message by message.
Result<ExplainedParts> explain_parts(const Prepared& prepared, const KeyContents& contents,
                                     const ValueHasher& hasher);

/// Why an answer is not kept: "no-store", "hosted_tool", "cache.rules", …; empty: it is.
std::string_view explain_bypass(const Prepared& prepared);
/// "native.stream".
std::string explain_form(ClientForm form);

struct Difference {
    enum class Kind : std::uint8_t {
        kValue,
        kMissing, // one of the two lacks it
        kOrder,   // the same members, and where they stand counts for the model
    };
    std::string path; // "messages[3].content[0].text"; of other parts their name
    Kind kind = Kind::kValue;
    std::string first; // hashes; empty: not there
    std::string second;
    bool in_body = false;
};

struct Differences {
    std::vector<Difference> rows;
    bool some_left_out = false; // there are more than are listed
};

/// Where two keys differ, as deep as it can be said.
Result<Differences> explain_differences(const KeyContents& first, const KeyContents& second,
                                        const ValueHasher& hasher);

} // namespace larder::gateway
