// SHA-256 over OpenSSL's EVP with one context a thread, and random numbers. Any thread.
#include "base/hash.hpp"

#include "base/result.hpp"
#include "base/text.hpp"

#include <bit>
#include <cerrno>
#include <openssl/evp.h>
#include <sys/random.h>

namespace larder {

namespace {

/// A context whose algorithm was fetched once: fetching costs more than hashing a short text.
class Sha256Context {
public:
    Sha256Context()
        : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
        LARDER_ASSERT(algorithm_ && context_);
        LARDER_ASSERT(EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr) == 1);
    }

    Sha256 digest(std::span<const std::string_view> parts) {
        EVP_MD_CTX* const context = context_.get();
        // No algorithm: the one that the context has is begun anew.
        LARDER_ASSERT(EVP_DigestInit_ex2(context, nullptr, nullptr) == 1);
        for (const std::string_view part : parts)
            LARDER_ASSERT(EVP_DigestUpdate(context, part.data(), part.size()) == 1);
        Sha256 out;
        LARDER_ASSERT(EVP_DigestFinal_ex(context, out.data(), nullptr) == 1);
        return out;
    }

private:
    struct Free {
        void operator()(EVP_MD* algorithm) const { EVP_MD_free(algorithm); }
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD, Free> algorithm_;
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::uint64_t seed() {
    std::array<unsigned char, sizeof(std::uint64_t)> bytes;
    random_bytes(bytes);
    return std::bit_cast<std::uint64_t>(bytes);
}

} // namespace

Sha256 sha256(std::span<const std::string_view> parts) {
    thread_local const auto context = std::make_unique<Sha256Context>();
    return context->digest(parts);
}

Sha256 sha256(std::string_view text) {
    return sha256(std::span(&text, 1));
}

std::string sha1_hex(std::string_view text) {
    std::array<unsigned char, 20> digest; // NOLINT: written before it is read
    unsigned int size = 0;
    LARDER_ASSERT(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) ==
                  1);
    LARDER_ASSERT(size == digest.size());
    return text::hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

void random_bytes(std::span<unsigned char> out) {
    while (!out.empty()) {
        const ssize_t got = getrandom(out.data(), out.size(), 0);
        LARDER_ASSERT(got > 0 || errno == EINTR);
        if (got > 0)
            out = out.subspan(static_cast<std::size_t>(got));
    }
}

std::uint64_t random_u64() {
    // SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
    thread_local std::uint64_t state = seed();
    state += 0x9E3779B97F4A7C15ULL;
    std::uint64_t mixed = state;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBULL;
    return mixed ^ (mixed >> 31U);
}

} // namespace larder
