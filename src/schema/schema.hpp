// JSON Schema (2020-12, and what draft 7 says in the same words): compiled once, then values are
// checked against it. Every check has a bound on its work, so that no schema and no value can hold
// up the thread. Pure, any thread.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace larder::schema {

struct Limits {
    std::size_t bytes = 256UL << 10; // of a schema's text
    std::size_t nodes = 5'000;       // subschemas
    int depth = 64;                  // of a schema, and of a value through `$ref`
    std::size_t in_place = 10'000;   // subschemas that one value can meet, each time counted
    std::size_t steps = 1'000'000;   // keywords that one check may look at
    std::size_t violations = 20;     // that are reported; never more than 1,000
};

/// What is wrong with a value, and where.
struct Violation {
    std::string path;    // JSON Pointer (RFC 6901) into the value; "" is the whole
    std::string message; // "must be a string"; never the value itself beyond 80 bytes
};

class Schema {
public:
    Schema(Schema&&) noexcept;
    Schema& operator=(Schema&&) noexcept;
    ~Schema();

    /// Refuses, with `field` a JSON Pointer into the schema: what is no schema, a `$ref` that leads
    /// nowhere, outside, or in a circle without taking a step in the value, a keyword that this
    /// doesn't know how to check (`unevaluatedProperties`, `$dynamicRef`, …), a `pattern` that is
    /// no regular expression RE2 takes, and what is over the limits. Unknown keywords and
    /// annotations (`title`, `format`, …) are ignored.
    static Result<Schema> compile(json::Value schema, const Limits& limits = {});

    /// Empty: valid. kTooLarge: the check would take more than `Limits::steps`, or the value is
    /// deeper than it follows.
    [[nodiscard]] Result<std::vector<Violation>> check(json::Value value) const;

private:
    struct Compiled;
    explicit Schema(std::unique_ptr<Compiled> compiled);
    std::unique_ptr<Compiled> compiled_;
};

/// "/items/3/name must be a string; /count must be at most 5": for messages and for models that are
/// to mend it. At most `bytes`.
std::string to_text(const std::vector<Violation>& violations, std::size_t bytes = 2'000);

} // namespace larder::schema
