// The names of the faults as a table.
#include "replay/fault.hpp"

#include <array>
#include <charconv>

namespace larder::replay {
namespace {

struct Named {
    std::string_view name;
    FaultKind kind;
};

constexpr std::array kPlain{
    Named{"hang", FaultKind::kHang},
    Named{"cut-head", FaultKind::kCutHead},
    Named{"cut-body", FaultKind::kCutBody},
    Named{"cut-stream", FaultKind::kCutStream},
    Named{"end-stream", FaultKind::kEndStream},
    Named{"stall", FaultKind::kStall},
    Named{"error-event", FaultKind::kErrorEvent},
    Named{"garbage", FaultKind::kGarbage},
    Named{"half-json", FaultKind::kHalfJson},
    Named{"content-type", FaultKind::kContentType},
    Named{"echo-key", FaultKind::kEchoKey},
    Named{"trickle", FaultKind::kTrickle},
    Named{"no-usage", FaultKind::kNoUsage},
    Named{"empty", FaultKind::kEmpty},
};
// With a number after the name.
constexpr std::array kNumbered{
    Named{"slow-first-byte-", FaultKind::kSlowFirstByte},
    Named{"flaky-", FaultKind::kFlaky},
    Named{"huge-", FaultKind::kHuge},
};
constexpr std::uint64_t kNumberMax = 64ULL << 20;

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > kNumberMax)
        return std::nullopt;
    return value;
}

/// Takes "-name-7" off the end of `name`. False for a number that is none.
bool take_suffix(std::string_view& name, std::string_view suffix,
                 std::optional<std::uint64_t>& number) {
    const auto at = name.find(suffix);
    if (at == std::string_view::npos)
        return true;
    number = parse_number(name.substr(at + suffix.size()));
    name = name.substr(0, at);
    return number.has_value();
}

std::optional<Fault> parse_status(std::string_view name) {
    Fault fault;
    std::optional<std::uint64_t> seconds;
    std::optional<std::uint64_t> milliseconds;
    if (!take_suffix(name, "-times-", fault.times) ||
        !take_suffix(name, "-retry-after-ms-", milliseconds) ||
        !take_suffix(name, "-retry-after-", seconds))
        return std::nullopt;
    if (seconds)
        fault.retry_after = static_cast<std::uint32_t>(*seconds);
    if (milliseconds)
        fault.retry_after_ms = static_cast<std::uint32_t>(*milliseconds);
    const auto status = parse_number(name);
    if (!status || *status < 300 || *status > 599)
        return std::nullopt;
    fault.number = *status;
    return fault;
}

} // namespace

std::optional<Fault> parse_fault(std::string_view name) {
    constexpr std::string_view kPrefix = "fault-";
    if (!name.starts_with(kPrefix))
        return std::nullopt;
    name.remove_prefix(kPrefix.size());
    for (const auto& [known, kind] : kPlain)
        if (name == known)
            return Fault{.kind = kind};
    for (const auto& [known, kind] : kNumbered)
        if (name.starts_with(known))
            if (const auto number = parse_number(name.substr(known.size())))
                return Fault{.kind = kind, .number = *number};
    if (name.starts_with("finish-"))
        return Fault{.kind = FaultKind::kFinish, .word = std::string(name.substr(7))};
    if (name.starts_with("gate"))
        return Fault{.kind = FaultKind::kGate};
    if (name.starts_with("middle-gate"))
        return Fault{.kind = FaultKind::kGateMiddle};
    return parse_status(name);
}

} // namespace larder::replay
