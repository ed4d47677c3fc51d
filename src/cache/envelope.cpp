// Writing and reading envelopes. Compression contexts are kept per thread: making one costs more
// than a small entry.
#include "cache/envelope.hpp"

#include "base/text.hpp"
#include "cache/news.hpp"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <memory>

namespace larder::cache {
namespace {

constexpr char kPlain = 1;
constexpr char kCompressed = 2;
constexpr char kBase64 = 'B';
constexpr std::size_t kHeadBytes = kAskedAt + kAskedDigits;
constexpr std::size_t kSizeBytes = 4;
/// Smaller ones fit into a packet anyway.
constexpr std::size_t kCompressFrom = 4096;
/// A compressed form must save at least this part, for it costs time at each reading.
constexpr std::size_t kSavedShare = 8;
constexpr int kLevel = 1;
/// What a reader's window may take: level 1 never needs more.
constexpr int kWindowLogMax = 27;

template <auto Free> struct Freed {
    template <class T> void operator()(T* context) const { Free(context); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, Freed<ZSTD_freeCCtx>>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, Freed<ZSTD_freeDCtx>>;

ZSTD_CCtx* compressor() {
    thread_local const Compressor context(ZSTD_createCCtx());
    return context.get();
}

ZSTD_DCtx* decompressor() {
    thread_local const Decompressor context = [] {
        Decompressor made(ZSTD_createDCtx());
        if (made)
            ZSTD_DCtx_setParameter(made.get(), ZSTD_d_windowLogMax, kWindowLogMax);
        return made;
    }();
    return context.get();
}

std::unexpected<Error> damaged() {
    return fail(ErrorCode::kStore, "an entry of the shared store is damaged");
}

/// Appends size and frame; false (and nothing is appended) when that would not pay.
bool append_compressed(std::string& out, std::string_view raw) {
    if (raw.size() < kCompressFrom || raw.size() > UINT32_MAX || compressor() == nullptr)
        return false;
    const std::size_t before = out.size();
    const std::size_t allowed = raw.size() - raw.size() / kSavedShare;
    out.resize(before + kSizeBytes + allowed);
    for (std::size_t i = 0; i < kSizeBytes; ++i)
        out[before + i] = static_cast<char>(raw.size() >> (8 * i) & 0xFF);
    const std::size_t size =
        ZSTD_compressCCtx(compressor(), out.data() + before + kSizeBytes, allowed - kSizeBytes,
                          raw.data(), raw.size(), kLevel);
    if (ZSTD_isError(size) != 0) { // it has no room
        out.resize(before);
        return false;
    }
    out.resize(before + kSizeBytes + size);
    return true;
}

Result<std::string> decompress(std::string_view bytes, std::size_t bytes_max) {
    if (bytes.size() < kSizeBytes || decompressor() == nullptr)
        return damaged();
    std::size_t size = 0;
    for (std::size_t i = 0; i < kSizeBytes; ++i)
        size |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    bytes.remove_prefix(kSizeBytes);
    // The frame says its size too: a small text with a huge promise costs nothing then.
    if (size > bytes_max || ZSTD_getFrameContentSize(bytes.data(), bytes.size()) != size)
        return damaged();
    std::string raw(size, '\0');
    const std::size_t written =
        ZSTD_decompressDCtx(decompressor(), raw.data(), raw.size(), bytes.data(), bytes.size());
    if (ZSTD_isError(written) != 0 || written != size)
        return damaged();
    return raw;
}

Result<EntryPtr> read_payload(char format, std::string_view payload, std::int64_t asked_ms,
                              std::size_t entry_bytes_max) {
    if (payload.size() > entry_bytes_max)
        return damaged();
    if (format == kPlain)
        return decode_entry(payload, asked_ms);
    if (format != kCompressed)
        return fail(ErrorCode::kStore, "an entry of the shared store has an unknown format");
    LARDER_TRY(const std::string raw, decompress(payload, entry_bytes_max));
    return decode_entry(raw, asked_ms);
}

} // namespace

std::string asked_digits(std::int64_t asked_ms) {
    constexpr std::int64_t kMost = 999'999'999'999'999;
    std::string digits(kAskedDigits, '0');
    std::array<char, kAskedDigits> written{};
    const auto [end, error] = std::to_chars(written.data(), written.data() + written.size(),
                                            std::clamp<std::int64_t>(asked_ms, 0, kMost));
    std::copy_backward(written.data(), end, digits.data() + digits.size());
    return digits;
}

std::string write_envelope(const Entry& entry, EnvelopeBytes kind) {
    const std::string raw = encode_entry(entry);
    std::string head(1, kPlain);
    head += asked_digits(entry.asked_ms);
    if (kind == EnvelopeBytes::kBinary) {
        std::string out = std::move(head);
        if (append_compressed(out, raw))
            out[0] = kCompressed;
        else
            out += raw;
        return out;
    }
    std::string payload(1, kCompressed);
    if (!append_compressed(payload, raw)) {
        payload[0] = kPlain;
        payload += raw;
    }
    head[0] = kBase64;
    return head + text::base64(payload);
}

Result<EntryPtr> read_envelope(std::string_view bytes, std::size_t entry_bytes_max) {
    if (bytes.size() < kHeadBytes)
        return damaged();
    const auto asked_ms = read_number(bytes.substr(kAskedAt, kAskedDigits));
    if (!asked_ms)
        return damaged();
    const auto asked = static_cast<std::int64_t>(*asked_ms);
    const std::string_view payload = bytes.substr(kHeadBytes);
    if (bytes[0] != kBase64)
        return read_payload(bytes[0], payload, asked, entry_bytes_max);
    if (payload.size() / 4 * 3 > entry_bytes_max)
        return damaged();
    const auto decoded = text::from_base64(payload);
    if (!decoded || decoded->empty())
        return damaged();
    return read_payload((*decoded)[0], std::string_view(*decoded).substr(1), asked,
                        entry_bytes_max);
}

} // namespace larder::cache
