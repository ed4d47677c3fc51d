// An object's members by name and type, with errors that say where: for reading what people and
// models write. Pure.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace larder::workflow {

struct IntegerRange {
    std::int64_t least;
    std::int64_t most;
};

struct DurationRange {
    std::chrono::milliseconds least;
    std::chrono::milliseconds most;
};

/// kTooLarge with `field`.
std::unexpected<Error> too_large(std::string field, std::string message);
/// What somebody wrote, for a message: in quotes, and not endlessly long.
std::string quoted(std::string_view text);

/// Each getter gives nullopt where the member is absent, and kInvalidRequest with its `field` where
/// it is not what it must be. `null` is no absence.
class Members {
public:
    /// Refuses what is no object, and a member that is not among `known`. `place`: the object's
    /// own field ("steps[3].forEach"), empty for the whole. `what`: for messages ("a step").
    static Result<Members> read(json::Value value, std::string place, std::string_view what,
                                std::span<const std::string_view> known);

    [[nodiscard]] std::string field(std::string_view name) const;
    [[nodiscard]] std::optional<json::Value> find(std::string_view name) const {
        return value_.find(name);
    }
    /// `most`: bytes.
    [[nodiscard]] Result<std::optional<std::string>> text(std::string_view name,
                                                          std::size_t most) const;
    [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view name,
                                                              IntegerRange range) const;
    [[nodiscard]] Result<std::optional<bool>> boolean(std::string_view name) const;
    /// A text with ms, s, m or h ("500ms"), or a number of milliseconds.
    [[nodiscard]] Result<std::optional<std::chrono::milliseconds>>
    duration(std::string_view name, DurationRange range) const;
    /// The place of one of `choices`.
    [[nodiscard]] Result<std::optional<std::size_t>>
    choice(std::string_view name, std::span<const std::string_view> choices) const;

private:
    Members(json::Value value, std::string place) : value_(value), place_(std::move(place)) {}

    json::Value value_;
    std::string place_;
};

} // namespace larder::workflow
