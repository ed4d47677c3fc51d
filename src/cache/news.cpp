// Writing and reading the messages of the channel.
#include "cache/news.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace larder::cache {
namespace {

constexpr std::size_t kTokenBytesMax = 48;
/// Generations pass through Lua's numbers: beyond this they would not be exact.
constexpr std::uint64_t kGenerationMax = (1ULL << 53U) - 1; // exact in a script

/// Takes what stands before the next space off `text`; all of it when there is none.
std::string_view take_field(std::string_view& text) {
    const auto end = std::min(text.find(' '), text.size());
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return field;
}

std::optional<News> read_purge(std::string_view rest) {
    const std::string_view letter = take_field(rest);
    const auto generation = read_number(take_field(rest));
    const auto kind = letter.size() == 1 ? kind_of(letter[0]) : std::nullopt;
    if (!kind || !generation || *generation == 0 || *generation > kGenerationMax)
        return std::nullopt;
    if (rest.size() > PurgeSet::kNameBytesMax || (*kind == PurgeKind::kAll) != rest.empty())
        return std::nullopt;
    return Purge{.scope = {.kind = *kind, .name = std::string(rest)}, .generation = *generation};
}

std::optional<News> read_overwrite(std::string_view rest) {
    const auto bytes = text::from_base64url(take_field(rest));
    const auto asked_ms = read_number(rest);
    OverwriteNews news;
    if (!bytes || bytes->size() != news.key.size() || !asked_ms || *asked_ms > kGenerationMax)
        return std::nullopt;
    std::ranges::transform(*bytes, news.key.begin(),
                           [](char c) { return static_cast<unsigned char>(c); });
    news.asked_ms = static_cast<std::int64_t>(*asked_ms);
    return news;
}

} // namespace

char letter_of(PurgeKind kind) {
    switch (kind) {
    case PurgeKind::kAll:
        return 'a';
    case PurgeKind::kNamespace:
        return 'n';
    case PurgeKind::kModel:
        return 'm';
    }
    return 'a';
}

std::optional<PurgeKind> kind_of(char letter) {
    for (const PurgeKind kind : {PurgeKind::kAll, PurgeKind::kNamespace, PurgeKind::kModel}) {
        if (letter_of(kind) == letter)
            return kind;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> read_number(std::string_view text) {
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (text.empty() || error != std::errc() || stopped != end)
        return std::nullopt;
    return number;
}

bool is_token(std::string_view text) {
    const auto is_allowed = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '.';
    };
    return !text.empty() && text.size() <= kTokenBytesMax && std::ranges::all_of(text, is_allowed);
}

std::string write_news(const Purge& purge) {
    std::string text = "p ";
    text += letter_of(purge.scope.kind);
    text += ' ';
    text += std::to_string(purge.generation);
    text += ' ';
    text += purge.scope.name;
    return text;
}

std::string write_news(const OverwriteNews& overwrite) {
    const std::string_view bytes(reinterpret_cast<const char*>(overwrite.key.data()),
                                 overwrite.key.size());
    return "o " + text::base64url(bytes) + ' ' + std::to_string(overwrite.asked_ms);
}

std::string write_news(const FlightNews& flight) {
    return std::string(1, static_cast<char>(flight.kind)) + ' ' + flight.token;
}

std::optional<News> read_news(std::string_view text) {
    const std::string_view kind = take_field(text);
    if (kind == "p")
        return read_purge(text);
    if (kind == "o")
        return read_overwrite(text);
    for (const auto flight : {FlightNews::Kind::kWanted, FlightNews::Kind::kLeft,
                              FlightNews::Kind::kPieces, FlightNews::Kind::kDone}) {
        if (kind.size() == 1 && kind[0] == static_cast<char>(flight) && is_token(text))
            return FlightNews{.kind = flight, .token = std::string(text)};
    }
    return std::nullopt;
}

} // namespace larder::cache
