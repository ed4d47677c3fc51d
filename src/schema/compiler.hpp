// Reads a schema's text into a Program: what compile.cpp (subschemas and references) and
// keywords.cpp (one reader for each keyword) share. One thread.
#pragma once

#include "schema/compiled.hpp"
#include "schema/path.hpp"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace larder::schema {

/// A subschema while its keywords are read.
struct Draft {
    struct Dependency {
        std::string trigger;
        std::string needed; // or
        Index schema = kNone;
    };

    Subschema out;
    Index index = 0;
    int depth = 0;
    std::map<std::string, Index> names; // and the property's subschema, or kNone
    std::vector<std::string> required;
    std::vector<Dependency> dependencies;
    Index items = kNone;
    Index additional_items = kNone;
    bool has_list = false; // draft 7's `items`
    bool has_prefix = false;

    NumberRules& number() { return made(out.number); }
    StringRules& string() { return made(out.string); }
    ArrayRules& array() { return made(out.array); }
    ObjectRules& object() { return made(out.object); }
    LogicRules& logic() { return made(out.logic); }

private:
    template <class Rules> static Rules& made(std::unique_ptr<Rules>& rules) {
        if (!rules)
            rules = std::make_unique<Rules>();
        return *rules;
    }
};

class Compiler {
public:
    explicit Compiler(const Limits& limits) { program_.limits = limits; }
    Result<Program> compile(json::Value root);

    // For the readers of keywords; `where` is the keyword's own place.

    /// One level below `draft`.
    Result<Index> subschema(const Draft& draft, json::Value value, const Path& where);
    Result<Index> pattern(std::string_view expression, const Path& where);
    Result<void> refer(const Draft& draft, json::Value value, const Path& where);
    Result<void> name_anchor(std::string_view name, json::Value subschema, const Path& where);
    Result<void> name_base(const Draft& draft, std::string_view id, const Path& where);
    /// The subschema whose keywords `draft` collects.
    [[nodiscard]] json::Value subschema_of(const Draft& draft) const;

private:
    struct Reference {
        Index from;
        std::string text;
        std::string field;
    };

    Result<Index> subschema_at(json::Value value, const Path& where, int depth);
    Result<void> read_keywords(Draft& draft, json::Value value, const Path& where);
    static Result<void> finish(Draft& draft, const Path& where);
    Result<void> resolve_all();
    Result<Index> resolve(const Reference& reference);
    Result<Index> follow(std::string_view pointer, const Reference& reference);
    std::optional<json::Value> step(json::Value value, std::string_view token);
    Result<std::vector<Index>> refuse_circles() const;
    [[nodiscard]] Result<void> bound_work(const std::vector<Index>& ordered) const;
    [[nodiscard]] std::string heaviest_reference(Index index,
                                                 const std::vector<std::size_t>& works) const;
    [[nodiscard]] Error circle_error(const std::vector<Index>& path, Index back_to) const;

    using Members = std::map<std::string, std::uint32_t, std::less<>>;

    Program program_;
    const json::Document* document_ = nullptr;
    std::string base_;                                 // the root's `$id`
    std::vector<std::uint32_t> nodes_;                 // of the subschemas, in the document
    std::unordered_map<std::uint32_t, Index> by_node_; // and back
    std::map<std::string, std::uint32_t, std::less<>> anchors_;
    std::map<std::string, Index, std::less<>> patterns_; // by expression
    std::size_t pattern_steps_ = 0;
    std::vector<Reference> references_;
    std::map<std::string, Index, std::less<>> resolved_; // by the reference's text
    std::map<std::uint32_t, Members> members_;           // of objects that references lead through
};

/// A reader of one keyword.
using ReadKeyword = Result<void> (*)(Compiler& compiler, Draft& draft, json::Value value,
                                     const Path& where);
/// nullptr: the keyword is unknown, or says nothing that is checked.
ReadKeyword find_keyword(std::string_view name);

/// Calls `visit(name, value)` for each member, until one fails.
template <class Visit> Result<void> each_member(json::Value object, const Visit& visit) {
    Result<void> result;
    object.for_each_member([&](std::string_view name, json::Value value) {
        result = visit(name, value);
        return result.has_value();
    });
    return result;
}

/// Calls `visit(position, element)` for each element, until one fails.
template <class Visit> Result<void> each_item(json::Value array, const Visit& visit) {
    Result<void> result;
    std::size_t position = 0;
    array.for_each_element([&](json::Value element) {
        result = visit(position++, element);
        return result.has_value();
    });
    return result;
}

} // namespace larder::schema
