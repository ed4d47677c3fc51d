// One kept answer: immutable once it is made, shared by pointer, with a versioned byte form for
// stores. Any thread.
#pragma once

#include "base/result.hpp"
#include "llm/fingerprint.hpp"
#include "llm/usage.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace larder::cache {

/// Purge generations that an entry was made under: everything, its namespace, its model.
struct Generations {
    std::uint64_t all = 0;
    std::uint64_t name_space = 0;
    std::uint64_t model = 0;
    bool operator==(const Generations&) const = default;
};

/// The bytes of one wire form of an answer, ready to be written: the constant part of the head, and
/// the body.
struct WireForm {
    std::string head; // status line and the fields that never change, without the blank line
    std::string body;
};

enum class PrimaryForm : std::uint8_t { kPlain = 0, kStream = 1 };

/// What the provider said, and what it cost.
struct Entry {
    std::int64_t created_ms = 0;
    std::int64_t fresh_until_ms = 0;
    std::int64_t stale_until_ms = 0;
    std::string name_space;
    std::string provider;
    std::string model;        // the effective model asked for
    std::string answer_model; // as the provider named it
    std::string finish_reason;
    Generations generations;
    llm::Usage usage;
    llm::Money cost;
    bool priced = true;
    std::uint8_t dialect = 0; // protocol::Dialect of the provider
    PrimaryForm form = PrimaryForm::kPlain;
    std::string content_type;
    std::string body; // JSON body or SSE events, as the provider sent them

    /// Wire forms made on first need; index = client form (api decides). Bytes count for the memory
    /// tier when they are made.
    static constexpr std::size_t kForms = 8;
    mutable std::array<std::atomic<std::shared_ptr<const WireForm>>, kForms> forms;

    /// Bytes in memory, without wire forms.
    [[nodiscard]] std::size_t bytes() const;
};

using EntryPtr = std::shared_ptr<const Entry>;

/// The byte form: a format byte (1), then length-delimited fields. Wire forms are not in it.
std::string encode_entry(const Entry& entry);
/// kStore when the bytes are not an entry of a known format (hostile bytes too: every length is
/// checked).
Result<EntryPtr> decode_entry(std::string_view bytes);

} // namespace larder::cache
