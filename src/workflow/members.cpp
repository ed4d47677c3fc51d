#include "workflow/members.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace larder::workflow {
namespace {

std::string joined(std::span<const std::string_view> names) {
    std::string out;
    for (const std::string_view name : names)
        out.append(out.empty() ? "" : ", ").append(name);
    return out;
}

std::string in_words(std::chrono::milliseconds duration) {
    const auto count = duration.count();
    if (count >= 1000 && count % 1000 == 0)
        return std::to_string(count / 1000) + "s";
    return std::to_string(count) + "ms";
}

} // namespace

std::unexpected<Error> too_large(std::string field, std::string message) {
    return std::unexpected(Error{.code = ErrorCode::kTooLarge,
                                 .message = std::move(message),
                                 .field = std::move(field),
                                 .position = {},
                                 .detail = {}});
}

std::string quoted(std::string_view text) {
    constexpr std::size_t kShownMax = 100;
    if (text.size() <= kShownMax)
        return "'" + std::string(text) + "'";
    std::size_t length = kShownMax;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U)
        --length;
    return "'" + std::string(text.substr(0, length)) + "…'";
}

Result<Members> Members::read(json::Value value, std::string place, std::string_view what,
                              std::span<const std::string_view> known) {
    if (!value.is(json::Kind::kObject))
        return fail_field(place.empty() ? "workflow" : place,
                          std::string(what) + " must be an object");
    Members members(value, std::move(place));
    std::optional<Error> error;
    value.for_each_member([&](std::string_view name, json::Value) {
        if (std::ranges::find(known, name) == known.end())
            error = fail_field(members.field(name.size() > 100 ? name.substr(0, 0) : name),
                               std::string(what) + " has no member " + quoted(name) +
                                   "; it may have " + joined(known))
                        .error();
        return !error;
    });
    if (error)
        return std::unexpected(*std::move(error));
    return members;
}

std::string Members::field(std::string_view name) const {
    if (place_.empty())
        return std::string(name);
    return name.empty() ? place_ : place_ + "." + std::string(name);
}

Result<std::optional<std::string>> Members::text(std::string_view name, std::size_t most) const {
    const auto member = find(name);
    if (!member)
        return std::nullopt;
    auto text = member->as_string();
    if (!text)
        return fail_field(field(name), "must be a text");
    if (text->size() > most)
        return too_large(field(name), "has at most " + std::to_string(most) + " bytes");
    return text;
}

Result<std::optional<std::int64_t>> Members::integer(std::string_view name,
                                                     IntegerRange range) const {
    const auto member = find(name);
    if (!member)
        return std::nullopt;
    const auto number = member->as_int();
    if (!number || *number < range.least || *number > range.most)
        return fail_field(field(name), "must be a whole number from " +
                                           std::to_string(range.least) + " to " +
                                           std::to_string(range.most));
    return number;
}

Result<std::optional<bool>> Members::boolean(std::string_view name) const {
    const auto member = find(name);
    if (!member)
        return std::nullopt;
    const auto is_so = member->as_bool();
    if (!is_so)
        return fail_field(field(name), "must be true or false");
    return is_so;
}

Result<std::optional<std::chrono::milliseconds>> Members::duration(std::string_view name,
                                                                   DurationRange range) const {
    constexpr std::size_t kLongest = 20;
    const auto member = find(name);
    if (!member)
        return std::nullopt;
    std::optional<std::chrono::milliseconds> duration;
    if (const auto number = member->as_int())
        duration = std::chrono::milliseconds(*number);
    else if (const auto text = member->as_string();
             text && text->size() <= kLongest && !text->ends_with('d'))
        if (const auto parsed = text::parse_duration(*text))
            duration = *parsed;
    if (!duration || *duration < range.least || *duration > range.most)
        return fail_field(field(name), "must be a duration from " + in_words(range.least) + " to " +
                                           in_words(range.most) +
                                           ": a text like \"500ms\", \"30s\", \"2m\" or \"1h\", or "
                                           "a number of milliseconds");
    return duration;
}

Result<std::optional<std::size_t>>
Members::choice(std::string_view name, std::span<const std::string_view> choices) const {
    const auto member = find(name);
    if (!member)
        return std::nullopt;
    const auto text = member->as_string();
    const auto found = text ? std::ranges::find(choices, *text) : choices.end();
    if (found == choices.end())
        return fail_field(field(name), "must be one of " + joined(choices));
    return static_cast<std::size_t>(found - choices.begin());
}

} // namespace larder::workflow
