// How pieces of a stream are merged into one JSON value; the rules stand at `Merge`.
#include "protocol/tree.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace larder::protocol {

namespace {

constexpr std::array<std::string_view, 11> kJoined = {
    "content", "arguments", "reasoning_content", "reasoning", "refusal", "input",
    "data",    "text",      "transcript",        "thinking",  "summary"};
constexpr std::size_t kLookedBack = 256; // elements of an array that a delta may continue

/// Objects of a delta whose members are deltas themselves; others are merged with kLast.
constexpr std::array<std::string_view, 4> kDeltaObjects = {"function", "function_call", "custom",
                                                           "audio"};

bool is_joined(std::string_view name) {
    return std::ranges::find(kJoined, name) != kJoined.end();
}

Merge merge_of_member(const Member& member, Merge how) {
    if (how == Merge::kDelta && member.value.is_object() &&
        std::ranges::find(kDeltaObjects, member.name) == kDeltaObjects.end())
        return Merge::kLast;
    return how;
}

bool is_same_type(const Tree& element, std::optional<Cursor> type) {
    if (!type || !type->is_non_empty_string())
        return true;
    const Tree* own = element.find("type");
    return own == nullptr || own->is_null() || own->text == type->raw();
}

/// A later piece of a tool call without an index: it names no call of its own.
bool continues_call(Cursor piece) {
    const auto id = piece.find("id");
    if (id && id->is_non_empty_string())
        return false;
    const auto function = piece.find("function");
    const auto name = function ? function->find("name") : std::nullopt;
    return !name || !name->is_non_empty_string();
}

} // namespace

Tree Tree::raw(std::string_view json) {
    Tree tree;
    tree.text = json;
    return tree;
}

Tree Tree::object() {
    Tree tree;
    tree.kind = Kind::kObject;
    tree.text.clear();
    return tree;
}

const Tree* Tree::find(std::string_view name) const {
    constexpr std::size_t kFew = 64;
    if (members.size() > kFew) {
        for (std::size_t i = places.size(); i < members.size(); ++i)
            places.emplace(members[i].name, i);
        const auto found = places.find(name);
        return found == places.end() ? nullptr : &members[found->second].value;
    }
    for (const TreeMember& member : members) {
        if (member.name == name)
            return &member.value;
    }
    return nullptr;
}

Tree* Tree::find(std::string_view name) {
    return const_cast<Tree*>(std::as_const(*this).find(name));
}

Tree& Tree::at(std::string_view name) {
    if (Tree* found = find(name))
        return *found;
    members.push_back({std::string(name), Tree()});
    return members.back().value;
}

void Tree::erase(std::string_view name) {
    places.clear();
    std::erase_if(members, [name](const TreeMember& member) { return member.name == name; });
}

void Tree::merge(Cursor piece, Merge how, std::string_view name) {
    switch (piece.kind()) {
    case json::Kind::kNull:
        return;
    case json::Kind::kObject:
        if (kind != Kind::kObject)
            return replace(piece, how);
        for (const Member& member : piece.members())
            at(member.name).merge(member.value, merge_of_member(member, how), member.name);
        return;
    case json::Kind::kArray:
        if (how == Merge::kDelta)
            return merge_delta_array(piece, name);
        if (how != Merge::kAppend || kind != Kind::kArray)
            return replace(piece, how);
        for (const Cursor element : piece.elements())
            elements.push_back(raw(element.raw()));
        return;
    case json::Kind::kString:
        if (how == Merge::kDelta && !piece.is_non_empty_string() && !is_null())
            return; // some vendors repeat ids and names as empty strings
        if (how == Merge::kDelta && is_joined(name) && kind == Kind::kText) {
            text.append(piece.characters());
            return;
        }
        if (how == Merge::kDelta && kind == Kind::kArray)
            return join_text_with_parts(piece);
        replace(piece, how);
        if (how == Merge::kDelta && is_joined(name)) {
            kind = Kind::kText;
            text = piece.characters();
        }
        return;
    default:
        replace(piece, how);
    }
}

void Tree::replace(Cursor piece, Merge how) {
    elements.clear();
    members.clear();
    text.clear();
    if (piece.is_object()) {
        kind = Kind::kObject;
        for (const Member& member : piece.members()) {
            members.push_back({std::string(member.name), Tree()});
            members.back().value.merge(member.value, merge_of_member(member, how), member.name);
        }
    } else if (piece.is_array() && how == Merge::kAppend) {
        kind = Kind::kArray;
        for (const Cursor element : piece.elements())
            elements.push_back(raw(element.raw()));
    } else {
        kind = Kind::kRaw;
        text = piece.raw();
    }
}

void Tree::merge_delta_array(Cursor piece, std::string_view name) {
    if (kind == Kind::kText && !text.empty()) { // text came first, parts follow
        Tree part = object();
        part.at("type") = raw("\"text\"");
        part.at("text") = std::move(*this);
        *this = Tree();
        elements.push_back(std::move(part));
    } else if (kind != Kind::kArray) {
        *this = Tree();
    }
    kind = Kind::kArray;
    text.clear();
    const std::size_t elements_before = elements.size();
    for (const Cursor element : piece.elements())
        merge_element(element, elements_before, name);
}

/// Elements of one piece are never merged with one another: only with those from before it.
void Tree::merge_element(Cursor piece, std::size_t elements_before, std::string_view name) {
    Tree* target = nullptr;
    if (piece.is_object() && elements_before > 0) {
        const auto index = piece.find_set("index");
        const auto type = piece.find_set("type");
        Tree& last = elements[elements_before - 1];
        if (index) {
            // From the end, and not far: a stream of ever new indexes must not take quadratic time.
            const std::size_t last_looked_at =
                elements_before > kLookedBack ? elements_before - kLookedBack : 0;
            for (std::size_t i = elements_before; i-- > last_looked_at && target == nullptr;) {
                const Tree* own = elements[i].find("index");
                if (own != nullptr && own->text == index->raw() && is_same_type(elements[i], type))
                    target = &elements[i];
            }
        } else if (name == "tool_calls") {
            target = continues_call(piece) ? &last : nullptr;
        } else if ((name == "content" || name == "thinking") &&
                   elements.size() == elements_before && type &&
                   (type->equals("text") || type->equals("thinking")) &&
                   last.kind == Kind::kObject && is_same_type(last, type)) {
            target = &last;
        }
    }
    if (target != nullptr)
        return target->merge(piece, Merge::kDelta);
    elements.emplace_back();
    elements.back().replace(piece, Merge::kDelta);
}

/// A plain string after parts is one more part of text.
void Tree::join_text_with_parts(Cursor piece) {
    Tree* last = elements.empty() ? nullptr : elements.back().find("type");
    if (last == nullptr || last->text != "\"text\"") {
        elements.push_back(object());
        elements.back().at("type") = raw("\"text\"");
    }
    elements.back().at("text").merge(piece, Merge::kDelta, "text");
}

void Tree::write(std::string& out) const {
    switch (kind) {
    case Kind::kRaw:
        out += text;
        return;
    case Kind::kText:
        out += '"';
        out += text;
        out += '"';
        return;
    case Kind::kArray:
        out += '[';
        for (const Tree& element : elements) {
            if (&element != elements.data())
                out += ',';
            element.write(out);
        }
        out += ']';
        return;
    case Kind::kObject:
        out += '{';
        for (const TreeMember& member : members) {
            if (&member != members.data())
                out += ',';
            json::write_string(out, member.name);
            out += ':';
            member.value.write(out);
        }
        out += '}';
    }
}

} // namespace larder::protocol
