#include "workflow/path_index.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

namespace larder::workflow {
namespace {

constexpr std::uint32_t kFew = 32; // are looked through as they stand

/// nullopt: it is no index of an element.
std::optional<std::uint32_t> read_index(std::string_view text, std::uint32_t size) {
    if (text.size() > 1 && text.front() == '0')
        return std::nullopt;
    std::uint32_t index = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), index);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || index >= size)
        return std::nullopt;
    return index;
}

json::Value element_at(json::Value array, std::uint32_t index) {
    const json::Document& document = array.document();
    std::uint32_t at = array.index() + 1;
    for (; index > 0; --index)
        at = document.node(at).next;
    return {&document, at};
}

} // namespace

std::optional<json::Value> PathIndex::follow(json::Value value, std::span<const std::string> path) {
    for (const std::string& part : path) {
        const auto next = child(value, part);
        if (!next)
            return std::nullopt;
        value = *next;
    }
    return value;
}

std::optional<json::Value> PathIndex::child(json::Value value, std::string_view part) {
    const bool is_array = value.is(json::Kind::kArray);
    const auto index = is_array ? read_index(part, value.size()) : std::nullopt;
    if (is_array && !index)
        return std::nullopt;
    if (value.size() <= kFew)
        return is_array ? element_at(value, *index) : value.find(part);
    const std::vector<Entry>& entries = entries_of(value);
    const json::Document* const document = &value.document();
    if (is_array)
        return json::Value(document, entries[*index].value);
    const auto same =
        std::ranges::equal_range(entries, std::hash<std::string_view>{}(part), {}, &Entry::order);
    for (const Entry& entry : same) {
        if (json::Value(document, entry.value - 1).as_string() == part) // its key's node
            return json::Value(document, entry.value);
    }
    return std::nullopt;
}

const std::vector<PathIndex::Entry>& PathIndex::entries_of(json::Value value) {
    const auto [place, is_new] = entries_.try_emplace(value.index());
    std::vector<Entry>& entries = place->second;
    if (!is_new)
        return entries;
    entries.reserve(value.size());
    value.for_each_element([&entries](json::Value element) {
        entries.push_back({.order = entries.size(), .value = element.index()});
        return true;
    });
    value.for_each_member([&entries](std::string_view name, json::Value member) {
        entries.push_back({.order = std::hash<std::string_view>{}(name), .value = member.index()});
        return true;
    });
    std::ranges::sort(entries, {}, &Entry::order);
    return entries;
}

} // namespace larder::workflow
