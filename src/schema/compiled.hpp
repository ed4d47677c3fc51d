// A schema as it is checked: subschemas by number, their keywords grouped by the kind of value that
// they speak of. Holds nothing of the text that it came from. Immutable, any thread.
#pragma once

#include "schema/number.hpp"
#include "schema/pattern.hpp"
#include "schema/schema.hpp"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace larder::schema {

using Index = std::uint32_t; // of a subschema in Program, or of a pattern
inline constexpr Index kNone = std::numeric_limits<Index>::max();
inline constexpr std::uint64_t kUnbounded = std::numeric_limits<std::uint64_t>::max();

/// Sets of JSON Schema's types.
enum TypeBit : std::uint8_t {
    kNullBit = 1,
    kBooleanBit = 2,
    kObjectBit = 4,
    kArrayBit = 8,
    kNumberBit = 16,
    kIntegerBit = 32,
    kStringBit = 64,
};

struct Range {
    std::uint64_t least = 0;
    std::uint64_t most = kUnbounded;
};

/// `enum` or `const`.
struct Choice {
    std::vector<std::string> canonical; // sorted
    std::uint8_t types = 0;             // that are among them; kNumberBit for all numbers
    std::string words;                  // of a message
};

struct Bound {
    Number number;
    std::string text;
};

struct NumberRules {
    std::optional<Bound> least;
    std::optional<Bound> most;
    std::optional<Bound> above;
    std::optional<Bound> below;
    std::optional<Divisor> divisor;
    std::string divisor_text;
};

struct StringRules {
    Range length; // in code points
    Index pattern = kNone;
    std::string pattern_text;
};

struct ArrayRules {
    std::vector<Index> prefix;
    Index rest = kNone; // for the elements after `prefix`
    Index contains = kNone;
    Range contained{.least = 1};
    Range size;
    bool is_unique = false;
};

/// A name that a schema of objects speaks of.
struct KnownName {
    std::string name;
    Index property = kNone;
};

/// If member `trigger` is there, then member `needed` has to be, or the whole must be valid by
/// `schema`. Numbers of known names.
struct Dependency {
    Index trigger = 0;
    Index needed = kNone;
    Index schema = kNone;
};

struct ObjectRules {
    std::vector<KnownName> names; // sorted
    std::vector<Index> required;  // numbers of `names`
    std::vector<Dependency> dependencies;
    std::vector<std::pair<Index, Index>> patterns; // of a name, and the subschema
    Index additional = kNone;
    Index every_name = kNone;
    Range size;
};

struct LogicRules {
    std::vector<Index> all;
    std::vector<Index> any;
    std::vector<Index> one;
    Index negated = kNone;
    Index condition = kNone;
    Index then = kNone;
    Index otherwise = kNone;
};

struct Subschema {
    bool is_false = false;
    std::uint8_t types = 0; // 0: any
    Index reference = kNone;
    std::vector<Choice> choices;
    std::unique_ptr<NumberRules> number;
    std::unique_ptr<StringRules> string;
    std::unique_ptr<ArrayRules> array;
    std::unique_ptr<ObjectRules> object;
    std::unique_ptr<LogicRules> logic;
};

struct Program {
    Limits limits;
    std::vector<Subschema> subschemas; // the first is the whole
    std::vector<Pattern> patterns;
};

Result<Program> compile_schema(json::Value schema, const Limits& limits);
Result<std::vector<Violation>> check_value(const Program& program, json::Value value);

/// Whether `value` nests deeper than `levels`; a scalar has none. Without recursion.
bool is_deeper_than(json::Value value, std::size_t levels);

/// The type of a value; kNumberBit for every number.
TypeBit type_of(json::Value value);
/// "a string or null"
std::string words_of(std::uint8_t types);

} // namespace larder::schema
