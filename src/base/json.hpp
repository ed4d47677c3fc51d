// JSON as spans over the text it was read from (RFC 8259): where each value stands, so that bytes
// can be kept, patched and hashed as they came. The text must outlive the Document and every Value.
// Pure, any thread.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::json {

enum class Kind : std::uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

/// One value of the tape. A member's key is a kString node just before its value.
struct Node {
    std::uint32_t begin = 0; // offsets into the text; a string's span includes its quotes
    std::uint32_t end = 0;
    std::uint32_t next = 0; // index of the node after this subtree
    std::uint32_t size = 0; // members or elements
    Kind kind = Kind::kNull;
    bool escaped = false; // a string with a backslash in it
};

struct Limits {
    std::uint32_t depth = 128;
    std::size_t bytes = 64ULL << 20;
    std::uint32_t nodes = 4'000'000;
};

class Document;

/// A view of one value; cheap to copy. Getters give nullopt when the kind does not fit.
class Value {
public:
    Value(const Document* document, std::uint32_t index) : document_(document), index_(index) {}
    [[nodiscard]] const Document& document() const { return *document_; }
    [[nodiscard]] std::uint32_t index() const { return index_; } // of its Node
    [[nodiscard]] Kind kind() const;
    [[nodiscard]] bool is(Kind kind) const { return this->kind() == kind; }
    [[nodiscard]] std::string_view raw() const; // the bytes as they came
    [[nodiscard]] std::size_t begin() const;    // offset of raw() in the text
    [[nodiscard]] std::size_t end() const;
    [[nodiscard]] std::uint32_t size() const; // members or elements, 0 for scalars
    /// The member of that (unescaped) name; nullopt also when this is no object.
    [[nodiscard]] std::optional<Value> find(std::string_view name) const;
    [[nodiscard]] std::optional<std::string> as_string() const; // unescaped, UTF-8
    /// The characters without a copy, only when the string has no escape in it.
    [[nodiscard]] std::optional<std::string_view> as_plain_string() const;
    [[nodiscard]] std::optional<std::int64_t>
    as_int() const; // an integral number within range ("3.0" and "3e0" are 3)
    /// The number times 10^`places` where that is integral and within range: exact, never by way of
    /// a double. as_scaled(6) of 2.5 is 2500000.
    [[nodiscard]] std::optional<std::int64_t> as_scaled(int places) const;
    [[nodiscard]] std::optional<double> as_double() const;
    [[nodiscard]] std::optional<bool> as_bool() const;
    /// Calls `visit(name, value)` for each member in order; the name is unescaped. Stops when it
    /// returns false.
    void for_each_member(const std::function<bool(std::string_view, Value)>& visit) const;
    /// Calls `visit(element)` in order. Stops when it returns false.
    void for_each_element(const std::function<bool(Value)>& visit) const;

private:
    const Document* document_;
    std::uint32_t index_;
    friend class Document;
};

class Document {
public:
    [[nodiscard]] Value root() const { return Value(this, 0); }
    [[nodiscard]] std::string_view text() const { return text_; }
    [[nodiscard]] const Node& node(std::uint32_t index) const { return nodes_[index]; }
    /// The document over the same bytes at another place (after its owner moved).
    void rebase(std::string_view text) { text_ = text; }

private:
    std::string_view text_;
    std::vector<Node> nodes_;
    friend Result<Document> parse(std::string_view text, const Limits& limits);
};

/// Parses the whole of `text`. Refuses, with `position` set and the reason in words: anything RFC
/// 8259 does not allow, invalid UTF-8, unpaired surrogate escapes, a member given twice in one
/// object (compared unescaped; `field` is its name), a byte-order mark, text after the value, and
/// what is over `limits` (kTooLarge for those).
Result<Document> parse(std::string_view text, const Limits& limits = {});

/// How many bytes of `text` stand before its first `"`, when all of them are characters of a JSON
/// string that need no escape: valid UTF-8, no control character, no `\`; else npos.
std::size_t plain_string_length(std::string_view text);

/// Appends `text` as a JSON string with its quotes; control characters, `"` and `\` escaped, all
/// else as it is.
void write_string(std::string& out, std::string_view text);
/// Appends the shortest decimal that reads back as the same double; integral values below 2^53
/// without a point.
void write_double(std::string& out, double value);

/// Where member order is free (sorted in the canonical form) and where it is kept.
enum class Order : std::uint8_t { kFree, kKept };
/// Says, for a member `name` of an object whose own order is free, how the objects inside its value
/// are treated.
using OrderRule = std::function<Order(std::string_view name)>;

struct CanonicalOptions {
    std::span<const std::string_view> skip_top; // top-level members that are left out
    OrderRule order;                            // null: free everywhere
};

/// Appends the canonical form: no white space; free objects sorted by unescaped name (bytewise);
/// strings unescaped then written by write_string; numbers as IEEE doubles by write_double (-0 is
/// 0), but integers beyond 2^53 in magnitude by their digits. Equal meaning gives equal bytes, any
/// other change gives other bytes.
void write_canonical(std::string& out, Value value, const CanonicalOptions& options = {});

/// Replaces spans of one text. Edits must not overlap; any order.
class Patch {
public:
    void replace(std::size_t begin, std::size_t end, std::string text);
    /// Adds a member at the end of `object` (which must be a kObject of the same text).
    void add_member(Value object, std::string_view name, std::string_view raw_value);
    [[nodiscard]] bool empty() const { return edits_.empty(); }
    [[nodiscard]] std::string apply(std::string_view text) const;

private:
    struct Edit {
        std::size_t begin;
        std::size_t end;
        std::string text;
    };
    std::vector<Edit> edits_;
};

} // namespace larder::json
