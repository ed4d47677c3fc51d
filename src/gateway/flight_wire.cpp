#include "gateway/flight_wire.hpp"

#include <algorithm>
#include <array>

namespace larder::gateway {
namespace {

constexpr char kFormat = 1;
constexpr std::size_t kFieldsMax = 64;
constexpr std::uint8_t kLastCode = static_cast<std::uint8_t>(ErrorCode::kInternal);

void put_number(std::string& out, std::uint32_t value) {
    std::array<char, 4> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<char>(value >> (8 * i) & 0xff);
    out.append(bytes.data(), bytes.size());
}

void put_text(std::string& out, std::string_view text) {
    put_number(out, static_cast<std::uint32_t>(text.size()));
    out += text;
}

/// Once something was missing, everything reads as empty and `ok` is false.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    std::uint32_t number() {
        std::uint32_t value = 0;
        const std::string_view bytes = take(4);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
        return value;
    }
    std::string_view text() { return take(number()); }
    char byte() {
        const std::string_view one = take(1);
        return one.empty() ? '\0' : one.front();
    }
    [[nodiscard]] bool is_whole() const { return ok_ && rest_.empty(); }

private:
    std::string_view take(std::size_t size) {
        if (!ok_ || size > rest_.size()) {
            ok_ = false;
            return {};
        }
        const std::string_view bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return bytes;
    }
    std::string_view rest_;
    bool ok_ = true;
};

/// Whether a failure is the provider's, and so everybody's.
bool is_providers(ErrorCode code) {
    return code == ErrorCode::kProviderRejected || code == ErrorCode::kProviderUnreadable ||
           code == ErrorCode::kProviderUnavailable || code == ErrorCode::kProviderOverloaded ||
           code == ErrorCode::kProviderUnconfigured || code == ErrorCode::kTimeout;
}

/// Whether a text may stand in a reply's head.
bool is_plain(std::string_view text) {
    return std::ranges::none_of(text, [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
    });
}

std::unexpected<Error> unreadable() {
    return fail(ErrorCode::kStore, "another node's answer can't be read");
}

} // namespace

SharedEnd shared_end(const FlightEnd& end, bool kept) {
    SharedEnd shared;
    shared.fields = end.provider_fields;
    if (end.truncated) {
        shared.kind = SharedEnd::Kind::kTooLarge;
    } else if (end.error) {
        shared.kind =
            is_providers(end.error->code) ? SharedEnd::Kind::kError : SharedEnd::Kind::kMine;
        shared.error = *end.error;
    } else if (end.entry) {
        shared.kind = SharedEnd::Kind::kEntry;
        shared.kept = kept;
        shared.terminated = end.terminated;
        shared.entry = end.entry;
    } else {
        shared.kind = SharedEnd::Kind::kRejection;
        shared.status = end.provider_status;
        shared.content_type = end.provider_content_type;
        shared.body = end.provider_body;
    }
    return shared;
}

std::string encode_end(const SharedEnd& end) {
    std::string out(1, kFormat);
    out += static_cast<char>(end.kind);
    out += end.kept ? '\1' : '\0';
    out += end.terminated ? '\1' : '\0';
    put_number(out, static_cast<std::uint32_t>(end.status));
    put_text(out, end.content_type);
    put_text(out, end.body);
    out += static_cast<char>(end.error.code);
    put_text(out, end.error.message);
    put_text(out, end.error.detail);
    put_number(out, static_cast<std::uint32_t>(end.fields.size()));
    for (const auto& [name, value] : end.fields) {
        put_text(out, name);
        put_text(out, value);
    }
    put_number(out, end.entry ? static_cast<std::uint32_t>(end.entry->asked_ms >> 32) : 0);
    put_number(out, end.entry ? static_cast<std::uint32_t>(end.entry->asked_ms) : 0);
    put_text(out, end.entry ? cache::encode_entry(*end.entry) : std::string());
    return out;
}

Result<SharedEnd> decode_end(std::string_view bytes) {
    Reader reader(bytes);
    SharedEnd end;
    if (reader.byte() != kFormat)
        return unreadable();
    const auto kind = static_cast<std::uint8_t>(reader.byte());
    if (kind > static_cast<std::uint8_t>(SharedEnd::Kind::kTooLarge))
        return unreadable();
    end.kind = static_cast<SharedEnd::Kind>(kind);
    end.kept = reader.byte() != '\0';
    end.terminated = reader.byte() != '\0';
    end.status = static_cast<int>(reader.number());
    end.content_type = reader.text();
    if (!is_plain(end.content_type))
        return unreadable();
    end.body = reader.text();
    const auto code = static_cast<std::uint8_t>(reader.byte());
    if (code > kLastCode)
        return unreadable();
    end.error.code = static_cast<ErrorCode>(code);
    end.error.message = reader.text();
    end.error.detail = reader.text();
    const std::uint32_t fields = reader.number();
    if (fields > kFieldsMax)
        return unreadable();
    for (std::uint32_t i = 0; i < fields; ++i) {
        const std::string_view name = reader.text();
        const std::string_view value = reader.text();
        if (!is_plain(name) || !is_plain(value))
            return unreadable();
        end.fields.emplace_back(name, value);
    }
    const std::uint64_t high = reader.number();
    const std::uint64_t asked_ms = high << 32 | reader.number();
    const std::string_view entry = reader.text();
    if (!reader.is_whole() || (end.kind == SharedEnd::Kind::kEntry) == entry.empty())
        return unreadable();
    if (end.kind == SharedEnd::Kind::kError && !is_providers(end.error.code))
        return unreadable();
    if (end.kind == SharedEnd::Kind::kRejection && (end.status < 400 || end.status > 599))
        return unreadable();
    if (!entry.empty()) {
        LARDER_TRY(end.entry, cache::decode_entry(entry, static_cast<std::int64_t>(asked_ms)));
    }
    return end;
}

} // namespace larder::gateway
