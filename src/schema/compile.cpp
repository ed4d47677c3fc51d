// Compiling a schema: its subschemas, and where its references lead. Recursion is bounded by
// Limits::depth; references are followed from a list, after everything else.
#include "schema/compiler.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace larder::schema {

namespace {

using json::Kind;
using json::Value;

constexpr std::size_t kPatternsMax = 100; // bounds their memory,
constexpr std::size_t kPatternStepsMax =
    20'000; // and this the time that compiling takes: for a text of
constexpr std::size_t kPatternBytes = 100;

/// One token of a JSON Pointer without its escapes; nullopt for a "~" that is none.
std::optional<std::string> unescape_token(std::string_view token) {
    std::string out;
    for (std::size_t at = 0; at < token.size(); ++at) {
        if (token[at] != '~') {
            out += token[at];
            continue;
        }
        const char code = at + 1 < token.size() ? token[at + 1] : '\0';
        if (code != '0' && code != '1')
            return std::nullopt;
        out += code == '0' ? '~' : '/';
        ++at;
    }
    return out;
}

/// The number of an element as JSON Pointer writes it.
std::optional<std::size_t> read_position(std::string_view token) {
    std::size_t position = 0;
    const char* const end = token.data() + token.size();
    const auto read = std::from_chars(token.data(), end, position);
    const bool is_padded = token.size() > 1 && token.front() == '0';
    if (read.ec != std::errc{} || read.ptr != end || is_padded)
        return std::nullopt;
    return position;
}

/// The subschemas that are checked against the same value as `schema` itself.
std::vector<Index> in_place(const Subschema& schema) {
    std::vector<Index> out;
    const auto add = [&out](Index index) {
        if (index != kNone)
            out.push_back(index);
    };
    add(schema.reference);
    if (schema.object) {
        for (const Dependency& dependency : schema.object->dependencies)
            add(dependency.schema);
    }
    if (schema.logic) {
        const LogicRules& logic = *schema.logic;
        for (const auto* list : {&logic.all, &logic.any, &logic.one})
            out.insert(out.end(), list->begin(), list->end());
        for (const Index index : {logic.negated, logic.condition, logic.then, logic.otherwise})
            add(index);
    }
    return out;
}

Index number_of(const std::vector<KnownName>& names, std::string_view name) {
    const auto found = std::ranges::lower_bound(names, name, {}, &KnownName::name);
    return static_cast<Index>(found - names.begin());
}

} // namespace

Result<Program> compile_schema(Value schema, const Limits& limits) {
    return Compiler(limits).compile(schema);
}

Result<Program> Compiler::compile(Value root) {
    if (root.raw().size() > program_.limits.bytes)
        return fail_field("", "is longer than " + std::to_string(program_.limits.bytes) + " bytes");
    document_ = &root.document();
    LARDER_CHECK(subschema_at(root, Path{}, 0));
    LARDER_CHECK(resolve_all());
    LARDER_TRY(const std::vector<Index> ordered, refuse_circles());
    LARDER_CHECK(bound_work(ordered));
    return std::move(program_);
}

// ---- subschemas ----

Value Compiler::subschema_of(const Draft& draft) const {
    return {document_, nodes_[draft.index]};
}

Result<Index> Compiler::subschema(const Draft& draft, Value value, const Path& where) {
    return subschema_at(value, where, draft.depth + 1);
}

Result<Index> Compiler::subschema_at(Value value, const Path& where, int depth) {
    if (const auto known = by_node_.find(value.index()); known != by_node_.end())
        return known->second;
    if (depth > program_.limits.depth)
        return fail_field(where.pointer(), "nests deeper than " +
                                               std::to_string(program_.limits.depth) + " schemas");
    if (program_.subschemas.size() >= program_.limits.nodes)
        return fail_field(where.pointer(), "is one schema more than the " +
                                               std::to_string(program_.limits.nodes) +
                                               " that one may have");
    const bool is_boolean = value.as_bool().has_value();
    if (!is_boolean && !value.is(Kind::kObject))
        return fail_field(where.pointer(), "must be a schema: an object, true or false");
    const auto index = static_cast<Index>(program_.subschemas.size());
    program_.subschemas.emplace_back();
    nodes_.push_back(value.index());
    by_node_.emplace(value.index(), index);
    Draft draft;
    draft.index = index;
    draft.depth = depth;
    if (is_boolean)
        draft.out.is_false = value.is(Kind::kFalse);
    else
        LARDER_CHECK(read_keywords(draft, value, where));
    LARDER_CHECK(finish(draft, where));
    program_.subschemas[index] = std::move(draft.out);
    return index;
}

Result<void> Compiler::read_keywords(Draft& draft, Value value, const Path& where) {
    return each_member(value, [&](std::string_view name, Value member) -> Result<void> {
        const ReadKeyword read = find_keyword(name);
        if (read == nullptr)
            return {};
        return read(*this, draft, member, Path::of_name(where, name));
    });
}

/// What needs all of the keywords.
Result<void> Compiler::finish(Draft& draft, const Path& where) {
    if (draft.has_list && draft.has_prefix)
        return fail_field(Path::of_name(where, "items").pointer(),
                          "must be one schema beside prefixItems");
    const Index rest = draft.has_list ? draft.additional_items : draft.items;
    if (rest != kNone)
        draft.array().rest = rest;
    if (draft.names.empty())
        return {};
    ObjectRules& rules = draft.object();
    for (const auto& [name, property] : draft.names)
        rules.names.push_back({.name = name, .property = property});
    for (const std::string& name : draft.required)
        rules.required.push_back(number_of(rules.names, name));
    for (const Draft::Dependency& dependency : draft.dependencies) {
        const bool is_schema = dependency.schema != kNone;
        rules.dependencies.push_back(
            {.trigger = number_of(rules.names, dependency.trigger),
             .needed = is_schema ? kNone : number_of(rules.names, dependency.needed),
             .schema = dependency.schema});
    }
    return {};
}

Result<Index> Compiler::pattern(std::string_view expression, const Path& where) {
    if (const auto known = patterns_.find(expression); known != patterns_.end())
        return known->second;
    if (program_.patterns.size() >= kPatternsMax)
        return fail_field(where.pointer(), "is one pattern more than the " +
                                               std::to_string(kPatternsMax) +
                                               " that a schema may have");
    auto compiled = Pattern::compile(expression);
    if (!compiled)
        return fail_field(where.pointer(), clip(compiled.error().message, 200));
    pattern_steps_ += compiled->steps(kPatternBytes);
    if (pattern_steps_ > kPatternStepsMax)
        return fail_field(where.pointer(), "makes this schema's patterns too large together");
    const auto index = static_cast<Index>(program_.patterns.size());
    program_.patterns.push_back(*std::move(compiled));
    patterns_.emplace(expression, index);
    return index;
}

// ---- references ----

Result<void> Compiler::refer(const Draft& draft, Value value, const Path& where) {
    const auto text = value.as_string();
    if (!text)
        return fail_field(where.pointer(), "must be a string");
    references_.push_back({.from = draft.index, .text = *text, .field = where.pointer()});
    return {};
}

Result<void> Compiler::name_anchor(std::string_view name, Value subschema, const Path& where) {
    const auto [known, is_new] = anchors_.emplace(name, subschema.index());
    if (!is_new && known->second != subschema.index())
        return fail_field(where.pointer(), "is the name of another schema too");
    return {};
}

Result<void> Compiler::name_base(const Draft& draft, std::string_view id, const Path& where) {
    if (id.starts_with('#')) // draft 7's anchors
        return id.size() == 1 ? Result<void>{}
                              : name_anchor(id.substr(1), subschema_of(draft), where);
    if (draft.index != 0)
        return fail_field(where.pointer(), "may stand at the top of a schema only");
    base_ = id.substr(0, id.find('#'));
    return {};
}

Result<void> Compiler::resolve_all() {
    // What a reference leads to may hold references in its turn.
    for (std::size_t next = 0; next < references_.size(); ++next) {
        const Reference reference = references_[next];
        const auto known = resolved_.find(reference.text);
        Index index = known == resolved_.end() ? kNone : known->second;
        if (index == kNone) {
            LARDER_TRY(index, resolve(reference));
            resolved_.emplace(reference.text, index);
        }
        program_.subschemas[reference.from].reference = index;
    }
    return {};
}

Result<Index> Compiler::resolve(const Reference& reference) {
    std::string_view text = reference.text;
    if (!base_.empty() && text.starts_with(base_) &&
        (text.size() == base_.size() || text[base_.size()] == '#'))
        text.remove_prefix(base_.size());
    if (!text.empty() && !text.starts_with('#'))
        return fail_field(reference.field, "leads out of this schema");
    const std::string fragment = text::percent_decode(text.substr(text.empty() ? 0 : 1));
    if (fragment.empty())
        return 0;
    if (fragment.starts_with('/'))
        return follow(fragment, reference);
    const auto anchor = anchors_.find(fragment);
    if (anchor == anchors_.end())
        return fail_field(reference.field, "leads nowhere: no $anchor has that name");
    return by_node_.at(anchor->second);
}

Result<Index> Compiler::follow(std::string_view pointer, const Reference& reference) {
    Value at(document_, nodes_.front());
    std::string_view rest = pointer.substr(1);
    for (bool is_last = false; !is_last;) {
        const std::size_t slash = rest.find('/');
        is_last = slash == std::string_view::npos;
        const auto token = unescape_token(rest.substr(0, slash));
        const auto next = token ? step(at, *token) : std::nullopt;
        if (!next)
            return fail_field(reference.field, "leads nowhere");
        at = *next;
        rest.remove_prefix(is_last ? rest.size() : slash + 1);
    }
    auto index = subschema_at(at, Path{.text = pointer}, 0);
    if (!index && !at.as_bool() && !at.is(Kind::kObject))
        return fail_field(reference.field, "leads to what is no schema");
    return index;
}

std::optional<Value> Compiler::step(Value value, std::string_view token) {
    if (value.is(Kind::kArray)) {
        const auto position = read_position(token);
        if (!position || *position >= value.size())
            return std::nullopt;
        std::uint32_t node = value.index() + 1;
        for (std::size_t skipped = 0; skipped < *position; ++skipped)
            node = document_->node(node).next;
        return Value(document_, node);
    }
    if (!value.is(Kind::kObject))
        return std::nullopt;
    Members& members = members_[value.index()];
    if (members.empty()) {
        value.for_each_member([&members](std::string_view name, Value member) {
            members.emplace(name, member.index());
            return true;
        });
    }
    const auto found = members.find(token);
    return found == members.end() ? std::nullopt : std::optional(Value(document_, found->second));
}

// ---- circles ----

/// The subschemas, each after those that are checked against the same value.
Result<std::vector<Index>> Compiler::refuse_circles() const {
    enum class Mark : std::uint8_t { kNew, kOpen, kDone };
    struct Visit {
        Index index;
        std::vector<Index> nexts;
    };
    std::vector<Mark> marks(program_.subschemas.size(), Mark::kNew);
    std::vector<Visit> open;
    std::vector<Index> ordered;
    const auto enter = [&](Index index) {
        marks[index] = Mark::kOpen;
        open.push_back({.index = index, .nexts = in_place(program_.subschemas[index])});
    };
    for (Index start = 0; start < marks.size(); ++start) {
        if (marks[start] == Mark::kNew)
            enter(start);
        while (!open.empty()) {
            Visit& visit = open.back();
            if (visit.nexts.empty()) {
                marks[visit.index] = Mark::kDone;
                ordered.push_back(visit.index);
                open.pop_back();
                continue;
            }
            const Index next = visit.nexts.back();
            visit.nexts.pop_back();
            if (marks[next] == Mark::kNew)
                enter(next);
            else if (marks[next] == Mark::kOpen) {
                std::vector<Index> path;
                for (const Visit& step : open)
                    path.push_back(step.index);
                return std::unexpected(circle_error(path, next));
            }
        }
    }
    return ordered;
}

/// Counts each subschema as often as one value can meet it.
Result<void> Compiler::bound_work(const std::vector<Index>& ordered) const {
    std::vector<std::size_t> works(program_.subschemas.size(), 1);
    for (const Index index : ordered) {
        for (const Index next : in_place(program_.subschemas[index])) {
            works[index] += works[next];
            if (works[index] > program_.limits.in_place)
                return fail_field(heaviest_reference(index, works),
                                  "makes one value be checked against more than " +
                                      std::to_string(program_.limits.in_place) + " schemas");
        }
    }
    return {};
}

/// The field of the first reference on the way to where most of the work is.
std::string Compiler::heaviest_reference(Index index, const std::vector<std::size_t>& works) const {
    for (;;) {
        const auto reference = std::ranges::find(references_, index, &Reference::from);
        if (reference != references_.end())
            return reference->field;
        const std::vector<Index> nexts = in_place(program_.subschemas[index]);
        if (nexts.empty())
            return {};
        index = std::ranges::max(nexts, {}, [&works](Index next) { return works[next]; });
    }
}

/// At the reference that closes it: only references lead back.
Error Compiler::circle_error(const std::vector<Index>& path, Index back_to) const {
    std::string field;
    Index next = back_to;
    for (auto index = path.rbegin(); index != path.rend() && field.empty(); ++index) {
        const auto reference = std::ranges::find(references_, *index, &Reference::from);
        if (reference != references_.end() && program_.subschemas[*index].reference == next)
            field = reference->field;
        next = *index;
    }
    return fail_field(field, "goes in a circle without taking a step in the value").error();
}

} // namespace larder::schema
