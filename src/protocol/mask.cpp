// Masks what looks like a key in a provider's error text. It would rather mask too much: nobody
// misses a long random word in an error message.
#include "protocol/protocol.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace larder::protocol {

namespace {

constexpr std::string_view kMask = "***";
/// Letters and digits in one run, at least so many with both in it, are a key without a prefix.
constexpr std::size_t kOpaqueMin = 32;
/// What follows a prefix must be at least so long.
constexpr std::size_t kSecretMin = 4;

constexpr std::array<std::string_view, 22> kPrefixes = {
    "sk-", "sk_",  "pk-",  "pk_",   "rk_",    "xai-", "gsk_",        "AIza",
    "hf_", "ghp_", "gho_", "ghs_",  "ghu_",   "AKIA", "github_pat_", "ASIA",
    "xox", "r8_",  "eyJ",  "pplx-", "nvapi-", "key-"};

/// After these words (any case) comes a secret, whatever it looks like.
constexpr std::array<std::string_view, 12> kIntroductions = {
    "bearer",    "basic",         "api key provided", "api_key", "api-key",  "apikey",
    "x-api-key", "authorization", "access_token",     "token",   "password", "key"};

bool is_letter_or_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Characters of keys, and the stars that providers shorten them with.
bool is_of_secret(char c) {
    return is_letter_or_digit(c) || c == '-' || c == '_' || c == '*' || c == '.' || c == '+' ||
           c == '/' || c == '=' || c == '~' || c == '%';
}

std::size_t secret_length(std::string_view text) {
    std::size_t length = 0;
    while (length < text.size() && is_of_secret(text[length]))
        ++length;
    while (length > 0 && (text[length - 1] == '.' || text[length - 1] == '/'))
        --length; // the sentence's own
    return length;
}

std::size_t prefixed_secret(std::string_view text) {
    for (const std::string_view prefix : kPrefixes) {
        if (!text.starts_with(prefix))
            continue;
        const std::size_t length = secret_length(text);
        if (length >= prefix.size() + kSecretMin)
            return length;
    }
    return 0;
}

std::size_t opaque_secret(std::string_view text) {
    std::size_t length = 0;
    bool has_digit = false;
    bool has_letter = false;
    while (length < text.size() && is_letter_or_digit(text[length])) {
        const bool is_digit = text[length] <= '9';
        has_digit = has_digit || is_digit;
        has_letter = has_letter || !is_digit;
        ++length;
    }
    return length >= kOpaqueMin && has_digit && has_letter ? secret_length(text) : 0;
}

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Whether a word after "Bearer " is one of plain English ("bearer token is missing").
bool is_plain_word(std::string_view word) {
    return std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; });
}

struct Introduced {
    std::size_t skip = 0;   // what stays: the word and what parts it from the secret
    std::size_t length = 0; // of the secret
};

/// `Bearer abc`, `key=abc`, `"api_key": "abc"`, `API key provided: abc`.
Introduced introduced_secret(std::string_view text) {
    for (const std::string_view word : kIntroductions) {
        if (text.size() <= word.size() ||
            !text::equals_ignoring_case(text.substr(0, word.size()), word))
            continue;
        std::size_t at = word.size();
        bool has_sign = false;
        while (at < text.size() &&
               (is_space(text[at]) || text[at] == '"' || text[at] == '\'' || text[at] == '\\' ||
                text[at] == '=' || text[at] == ':' || text[at] == '`')) {
            has_sign = has_sign || text[at] == '=' || text[at] == ':';
            ++at;
        }
        const bool is_scheme = word == "bearer" || word == "basic";
        if (at == word.size() || !(has_sign || is_scheme))
            continue;
        const std::size_t length = secret_length(text.substr(at));
        const std::string_view secret = text.substr(at, length);
        const bool names_scheme = text::equals_ignoring_case(secret, "bearer") ||
                                  text::equals_ignoring_case(secret, "basic");
        if (length == 0 || names_scheme || (is_plain_word(secret) && word != "password"))
            continue;
        return {at, length};
    }
    return {};
}

} // namespace

std::string mask_secrets(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    std::size_t at = 0;
    while (at < text.size()) {
        const bool begins_word =
            is_letter_or_digit(text[at]) && (at == 0 || !is_letter_or_digit(text[at - 1]));
        if (!begins_word) {
            out += text[at++];
            continue;
        }
        const std::string_view rest = text.substr(at);
        const Introduced introduced = introduced_secret(rest);
        if (introduced.length > 0) {
            out.append(rest.substr(0, introduced.skip)).append(kMask);
            at += introduced.skip + introduced.length;
            continue;
        }
        std::size_t length = prefixed_secret(rest);
        if (length == 0)
            length = opaque_secret(rest);
        if (length > 0)
            out.append(kMask);
        else
            out += text[at];
        at += std::max<std::size_t>(length, 1);
    }
    return out;
}

} // namespace larder::protocol
