// The heads of requests and responses: views into bytes that the head itself owns, so that nothing
// is copied field by field. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

struct Field {
    std::string_view name;
    std::string_view value; // without white space around it
};

/// Fields in the order they came; names compare without case.
class Fields {
public:
    void clear() { fields_.clear(); }
    void add(std::string_view name, std::string_view value) { fields_.push_back({name, value}); }
    /// The first value of that name; nullopt when there is none.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
    /// All values of that name, joined with ", ".
    [[nodiscard]] std::string joined(std::string_view name) const;
    [[nodiscard]] std::size_t count(std::string_view name) const;
    [[nodiscard]] auto begin() const { return fields_.begin(); }
    [[nodiscard]] auto end() const { return fields_.end(); }
    [[nodiscard]] std::size_t size() const { return fields_.size(); }

private:
    std::vector<Field> fields_;
};

/// How the end of a body is known (RFC 9112, section 6.3).
struct BodyFraming {
    enum class Kind : std::uint8_t { kNone, kLength, kChunked, kUntilClose };
    Kind kind = Kind::kNone;
    std::uint64_t length = 0;
};

struct RequestHead {
    std::string bytes; // what the views point into
    Method method = Method::kOther;
    std::string_view method_text;
    std::string_view target; // as it came
    std::string_view path;   // of origin-form and absolute-form; "*" for asterisk-form; not decoded
    std::string_view query;  // without "?"
    std::string_view host;   // of absolute-form's authority if there is one, else of Host
    int minor_version = 1;
    bool keep_alive = true;
    bool expect_continue = false;
    BodyFraming framing;
    Fields fields;
};

struct ResponseHead {
    std::string bytes;
    int status = 0;
    int minor_version = 1;
    bool keep_alive = true;
    BodyFraming framing;
    Fields fields;
};

/// Owned fields, for what is sent.
using OwnedFields = std::vector<std::pair<std::string, std::string>>;

/// "OK", "Not Found", …; "Unknown" for a status without a name.
std::string_view reason_phrase(int status);

} // namespace larder::http
