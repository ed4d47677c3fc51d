#include "redis/slot_map.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace larder::redis {
namespace {

template <class Number> std::optional<Number> read_number(std::string_view text) {
    Number number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

std::string host_or(std::string_view host, const Endpoint& asked) {
    return std::string(host.empty() || host == "?" ? std::string_view(asked.host) : host);
}

/// [host, port, id, …] of CLUSTER SLOTS.
std::optional<Endpoint> read_node(const Reply& node, const Endpoint& asked) {
    if (node.kind != Reply::Kind::kArray || node.items.size() < 2)
        return std::nullopt;
    const Reply& host = node.items[0];
    const Reply& port = node.items[1];
    if ((!host.is_text() && !host.is_null()) || port.kind != Reply::Kind::kInteger ||
        port.integer < 1 || port.integer > 65'535)
        return std::nullopt;
    return Endpoint{.host = host_or(host.text, asked),
                    .port = static_cast<std::uint16_t>(port.integer)};
}

bool contains(const std::vector<Endpoint>& list, const Endpoint& endpoint) {
    return std::ranges::find(list, endpoint) != list.end();
}

std::size_t place_of(std::vector<Endpoint>& list, const Endpoint& endpoint) {
    const auto found = std::ranges::find(list, endpoint);
    const auto place = static_cast<std::size_t>(found - list.begin());
    if (found == list.end())
        list.push_back(endpoint);
    return place;
}

/// The value of a line `name:value` of CLUSTER INFO.
std::string_view info_value(std::string_view info, std::string_view name) {
    while (!info.empty()) {
        const auto end = info.find('\n');
        std::string_view line = info.substr(0, end);
        info.remove_prefix(end == std::string_view::npos ? info.size() : end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.starts_with(name) && line.substr(name.size()).starts_with(':'))
            return line.substr(name.size() + 1);
    }
    return {};
}

std::unexpected<Error> unreadable() {
    return fail(ErrorCode::kStore, "a node's CLUSTER SLOTS can't be read");
}

/// [first slot, last slot, master, replica…]. False when it is of another form.
bool read_range(const Reply& range, const Endpoint& asked, SlotMap& map) {
    if (range.kind != Reply::Kind::kArray || range.items.size() < 3 ||
        range.items[0].kind != Reply::Kind::kInteger ||
        range.items[1].kind != Reply::Kind::kInteger)
        return false;
    const std::int64_t first = range.items[0].integer;
    const std::int64_t last = range.items[1].integer;
    if (first < 0 || last < first || last >= kSlots)
        return false;
    const auto master = read_node(range.items[2], asked);
    if (!master)
        return false;
    const std::size_t place = place_of(map.masters, *master);
    std::fill(map.owners.begin() + first, map.owners.begin() + last + 1,
              static_cast<std::uint16_t>(place + 1));
    for (std::size_t i = 3; i < range.items.size(); ++i) {
        const auto replica = read_node(range.items[i], asked);
        if (!replica)
            return false;
        place_of(map.replicas, *replica);
        if (map.replicas.size() > kMaxClusterNodes)
            return false;
    }
    return map.masters.size() <= kMaxClusterNodes;
}

} // namespace

const Endpoint* SlotMap::owner(std::uint16_t slot) const {
    if (slot >= owners.size() || owners[slot] == 0)
        return nullptr;
    return &masters[owners[slot] - 1U];
}

bool SlotMap::has(const Endpoint& endpoint) const {
    return contains(masters, endpoint) || contains(replicas, endpoint);
}

bool SlotMap::is_whole() const {
    return owners.size() == kSlots && std::ranges::find(owners, 0) == owners.end();
}

SlotMap SlotMap::with_owner(std::uint16_t slot, const Endpoint& owner) const {
    SlotMap changed = *this;
    changed.owners.resize(kSlots);
    if (slot >= kSlots || (changed.masters.size() >= kMaxClusterNodes && !contains(masters, owner)))
        return changed;
    changed.owners[slot] = static_cast<std::uint16_t>(place_of(changed.masters, owner) + 1);
    return changed;
}

Result<SlotMap> read_slot_map(const Reply& slots, const Reply& info, const Endpoint& asked) {
    if (slots.kind != Reply::Kind::kArray || slots.items.size() > kSlots || !info.is_text())
        return unreadable();
    SlotMap map;
    map.owners.resize(kSlots);
    for (const Reply& range : slots.items) {
        if (!read_range(range, asked, map))
            return unreadable();
    }
    map.state_ok = info_value(info.text, "cluster_state") == "ok";
    map.epoch =
        read_number<std::int64_t>(info_value(info.text, "cluster_current_epoch")).value_or(0);
    return map;
}

std::optional<Redirection> read_redirection(std::string_view error_text, const Endpoint& asked) {
    const auto word_end = error_text.find(' ');
    const std::string_view word = error_text.substr(0, word_end);
    if (word == "TRYAGAIN" || word == "CLUSTERDOWN")
        return Redirection{.kind = Redirection::Kind::kAgain};
    if ((word != "MOVED" && word != "ASK") || word_end == std::string_view::npos)
        return std::nullopt;
    const std::string_view rest = error_text.substr(word_end + 1);
    const auto slot_end = rest.find(' ');
    const auto colon = rest.rfind(':'); // a host may be an IPv6 address without brackets
    if (slot_end == std::string_view::npos || colon == std::string_view::npos || colon < slot_end)
        return std::nullopt;
    const auto slot = read_number<std::uint16_t>(rest.substr(0, slot_end));
    const auto port = read_number<std::uint16_t>(rest.substr(colon + 1));
    if (!slot || *slot >= kSlots || !port || *port == 0)
        return std::nullopt;
    const std::string_view host = rest.substr(slot_end + 1, colon - slot_end - 1);
    return Redirection{
        .kind = word == "MOVED" ? Redirection::Kind::kMoved : Redirection::Kind::kAsk,
        .slot = *slot,
        .to = {.host = host_or(host, asked), .port = *port},
    };
}

} // namespace larder::redis
