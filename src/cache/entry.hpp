// One kept answer: immutable once it is made, shared by pointer, with a versioned byte form for
// stores. Any thread.
#pragma once

#include "base/result.hpp"
#include "cache/exact_bytes.hpp"
#include "cache/label.hpp"
#include "llm/fingerprint.hpp"
#include "llm/usage.hpp"

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

/// What the provider said, and what it cost. Filled in by its maker, then held as `EntryPtr`.
struct Entry {
    Entry() = default;
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    std::int64_t asked_ms = 0; // when its request came; in memory, and where stores compare it
    /// Since when (epoch ms) this is known to be the newest answer, see Store::confirmed_since_ms.
    /// In memory only.
    mutable std::atomic<std::int64_t> confirmed_ms = 0;
    std::int64_t created_ms = 0;
    std::int64_t fresh_until_ms = 0;
    std::int64_t stale_until_ms = 0;
    Label name_space;
    Label provider;
    Label model;        // the effective model asked for
    Label answer_model; // as the provider named it
    Label finish_reason;
    Label content_type;
    Generations generations;
    llm::Usage usage;
    llm::Money cost;
    bool priced = true;
    std::uint8_t dialect = 0; // protocol::Dialect of the provider
    PrimaryForm form = PrimaryForm::kPlain;
    ExactBytes body; // JSON body or SSE events, as the provider sent them

    /// Client forms that may be kept; what each index means is the API's business.
    static constexpr std::size_t kForms = 16;
    /// The wire form at `index`, or null. Valid as long as the entry. Waits for nobody.
    [[nodiscard]] const WireForm* wire_form(std::size_t index) const noexcept;
    /// Keeps a wire form that was made on first need; when two threads make the same, the first
    /// wins. Returns the one that is kept.
    const WireForm* set_wire_form(std::size_t index, std::unique_ptr<const WireForm> made) const;

    /// Bytes in memory, without wire forms.
    [[nodiscard]] std::size_t bytes() const;
    /// Bytes of one wire form, as the memory tier counts them.
    static std::size_t bytes_of(const WireForm& form);
    /// Bytes of all wire forms made so far.
    [[nodiscard]] std::size_t wire_form_bytes() const;

private:
    struct FormNode;
    /// A list that only grows, and whose nodes never change: most entries have one or two forms.
    mutable std::atomic<const FormNode*> forms_ = nullptr;
};

using EntryPtr = std::shared_ptr<const Entry>;

/// The byte form: a format byte (1), then length-delimited fields. Wire forms are not in it.
std::string encode_entry(const Entry& entry);
/// kStore when the bytes are not an entry of a known format (hostile bytes too: every length is
/// checked). `asked_ms` is not in the byte form and comes from beside it.
Result<EntryPtr> decode_entry(std::string_view bytes, std::int64_t asked_ms = 0);

} // namespace larder::cache
