#include "api/session_requests.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "session/merge_patch.hpp"

#include <algorithm>
#include <charconv>

namespace larder::api {
namespace {

constexpr std::int64_t kNoVersion = 0; // versions begin at 1
constexpr std::size_t kNameShownMax = 64;

/// The members of a body, each of which must be one of `known`. Names that are not are said in the
/// order of the body.
Result<json::Document> read_object(std::string_view body, std::span<const std::string_view> known) {
    LARDER_TRY(json::Document document, json::parse(body));
    if (!document.root().is(json::Kind::kObject))
        return fail(ErrorCode::kInvalidRequest, "the body must be a JSON object");
    std::string unknown;
    std::string first;
    document.root().for_each_member([&](std::string_view name, json::Value) {
        if (std::ranges::find(known, name) == known.end()) {
            const std::string_view shown = name.substr(0, kNameShownMax);
            if (unknown.empty())
                first = shown;
            ((unknown += unknown.empty() ? "\"" : ", \"") += shown) += '"';
        }
        return unknown.size() < kNameShownMax * 4;
    });
    if (!unknown.empty())
        return fail_field(std::move(first), "unknown members: " + unknown);
    return document;
}

Result<std::string> to_data(json::Value value, std::size_t data_bytes_max) {
    if (!value.is(json::Kind::kObject))
        return fail_field("data", "\"data\" must be an object");
    if (value.raw().size() > data_bytes_max)
        return std::unexpected(
            Error{.code = ErrorCode::kTooLarge,
                  .message = "\"data\" is over " + std::to_string(data_bytes_max) + " bytes",
                  .field = "data"});
    return std::string(value.raw());
}

Result<void> check_user_id(std::string_view user_id) {
    if (user_id.empty())
        return fail_field("userId", "\"userId\" must not be empty");
    if (user_id.size() > kUserIdBytesMax)
        return fail_field("userId",
                          "\"userId\" is over " + std::to_string(kUserIdBytesMax) + " bytes");
    return {};
}

/// Whether a text could stand in JSON.
bool is_utf8(std::string_view text) {
    std::string quoted;
    json::write_string(quoted, text);
    return json::parse(quoted).has_value();
}

std::string form_decode(std::string_view text) {
    std::string spaced(text);
    std::ranges::replace(spaced, '+', ' ');
    return text::percent_decode(spaced);
}

std::unexpected<Error> bad_if_match() {
    return fail_field("if-match", "If-Match must be * or a list of entity tags");
}

/// The version that an opaque tag stands for; nothing where it is none of ours.
std::optional<std::int64_t> version_of(std::string_view tag) {
    std::int64_t version = 0;
    const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), version);
    if (error != std::errc() || version <= kNoVersion || std::to_string(version) != tag)
        return std::nullopt;
    return version;
}

void skip_space(std::string_view& text) {
    while (text.starts_with(' ') || text.starts_with('\t'))
        text.remove_prefix(1);
}

void add_text(std::string& out, std::string_view name, std::string_view value) {
    ((out += '"') += name) += "\":";
    json::write_string(out, value);
}

} // namespace

Result<SessionCreation> read_session_creation(std::string_view body, std::size_t data_bytes_max) {
    static constexpr std::string_view kMembers[] = {"userId", "data"};
    LARDER_TRY(const json::Document document, read_object(body, kMembers));
    const auto user_id = document.root().find("userId");
    if (!user_id)
        return fail_field("userId", "\"userId\" is required");
    SessionCreation creation{.user_id = user_id->as_string().value_or(""), .data = "{}"};
    if (!user_id->is(json::Kind::kString))
        return fail_field("userId", "\"userId\" must be a string");
    LARDER_CHECK(check_user_id(creation.user_id));
    if (const auto data = document.root().find("data")) {
        LARDER_TRY(creation.data, to_data(*data, data_bytes_max));
    }
    return creation;
}

Result<std::string> read_session_data(std::string_view body, std::size_t data_bytes_max) {
    static constexpr std::string_view kMembers[] = {"data"};
    LARDER_TRY(const json::Document document, read_object(body, kMembers));
    const auto data = document.root().find("data");
    if (!data)
        return fail_field("data", "\"data\" is required");
    return to_data(*data, data_bytes_max);
}

Result<void> read_no_members(std::string_view body) {
    if (body.empty())
        return {};
    LARDER_TRY(const json::Document document, read_object(body, {}));
    return {};
}

Result<std::string> read_user_query(std::string_view query) {
    std::optional<std::string> user_id;
    for (const std::string_view pair : text::split(query, '&')) {
        if (pair.empty())
            continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        const std::string name = form_decode(pair.substr(0, equals));
        if (name != "userId" || user_id)
            return fail_field("userId", "the query is userId=…, once and nothing else");
        user_id = form_decode(pair.substr(std::min(equals + 1, pair.size())));
    }
    if (!user_id)
        return fail_field("userId", "the query must name a user: ?userId=…");
    LARDER_CHECK(check_user_id(*user_id));
    if (!is_utf8(*user_id))
        return fail_field("userId", "userId must be UTF-8");
    return *std::move(user_id);
}

bool Precondition::admits(std::int64_t version) const {
    return is_any || std::ranges::find(versions, version) != versions.end();
}

session::Store::Expected Precondition::expected() const {
    if (is_any)
        return std::nullopt;
    return versions.empty() ? kNoVersion : versions.front();
}

Result<Precondition> read_precondition(std::optional<std::string_view> if_match) {
    if (!if_match || text::trim(*if_match) == "*")
        return Precondition{};
    Precondition precondition{.is_any = false};
    std::string_view rest = *if_match;
    bool has_tag = false;
    while (true) {
        skip_space(rest);
        if (rest.starts_with(',')) { // empty elements of a list are ignored
            rest.remove_prefix(1);
            continue;
        }
        if (rest.empty())
            break;
        const bool is_weak = rest.starts_with("W/");
        rest.remove_prefix(is_weak ? 2 : 0);
        const std::size_t closing = rest.starts_with('"') ? rest.find('"', 1) : std::string::npos;
        if (closing == std::string::npos)
            return bad_if_match();
        const auto version = version_of(rest.substr(1, closing - 1));
        if (version && !is_weak && !precondition.admits(*version))
            precondition.versions.push_back(*version);
        has_tag = true;
        rest.remove_prefix(closing + 1);
        skip_space(rest);
        if (!rest.empty() && !rest.starts_with(','))
            return bad_if_match();
    }
    if (!has_tag)
        return bad_if_match();
    return precondition;
}

void write_session(std::string& out, const session::Session& session) {
    add_text(out += '{', "id", session.id);
    add_text(out += ',', "userId", session.user_id);
    (out += ",\"data\":") += session.data;
    add_text(out += ',', "createdAt", rfc3339(session.created_ms));
    add_text(out += ',', "lastAccessedAt", rfc3339(session.accessed_ms));
    add_text(out += ',', "expiresAt", rfc3339(session.expires_ms));
    ((out += ",\"version\":") += std::to_string(session.version)) += '}';
}

std::string write_sessions(std::span<const session::Session> sessions) {
    std::string out = "{\"sessions\":[";
    for (const session::Session& session : sessions) {
        if (!out.ends_with('['))
            out += ',';
        write_session(out, session);
    }
    return out += "]}";
}

std::string etag_of(const session::Session& session) {
    return '"' + std::to_string(session.version) + '"';
}

Result<std::string> merge_data(const session::Session& session, std::string_view patch,
                               std::size_t data_bytes_max) {
    LARDER_TRY(const json::Document target, json::parse(session.data));
    LARDER_TRY(const json::Document changes, json::parse(patch));
    std::string merged = session::merge_patch(target.root(), changes.root());
    if (merged.size() > data_bytes_max)
        return std::unexpected(
            Error{.code = ErrorCode::kTooLarge,
                  .message = "\"data\" would be over " + std::to_string(data_bytes_max) + " bytes",
                  .field = "data"});
    return merged;
}

} // namespace larder::api
