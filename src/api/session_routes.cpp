#include "api/session_routes.hpp"

#include "session/id.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace larder::api {
namespace {

/// Room for what stands around `data` in a body.
constexpr std::size_t kBodySlack = 16 * 1024;
/// How often a merge is done again because somebody else was faster.
constexpr int kMergesMax = 8;

http::Response make_response(int status, std::string body) {
    http::Response response;
    response.status = status;
    response.fields.emplace_back("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

http::Response show(const session::Session& session, int status = 200) {
    std::string body;
    write_session(body, session);
    http::Response response = make_response(status, std::move(body));
    response.fields.emplace_back("ETag", etag_of(session));
    return response;
}

/// With where it is, because the client doesn't know that yet.
http::Response show_new(const session::Session& session, int status) {
    http::Response response = show(session, status);
    response.fields.emplace_back("Location", "/sessions/" + session.id);
    return response;
}

std::unexpected<Error> not_found() {
    return fail(ErrorCode::kNotFound, "there is no such session, or it has ended");
}

std::unexpected<Error> failed_precondition() {
    return fail(ErrorCode::kConflict, "the session has another version than If-Match asks for");
}

/// The store's error in the words of the API.
std::unexpected<Error> to_client(Error error) {
    if (error.code == ErrorCode::kNotFound)
        return not_found();
    if (error.code == ErrorCode::kConflict)
        return failed_precondition();
    return std::unexpected(std::move(error));
}

Result<http::Response> show_result(Result<session::Session> session) {
    if (!session)
        return to_client(std::move(session).error());
    return show(*session);
}

std::size_t bytes_of(std::span<const session::Session> sessions) {
    std::size_t bytes = 0;
    for (const session::Session& session : sessions)
        bytes += session.data.size();
    return bytes;
}

bool has_id(Endpoint endpoint) {
    return endpoint != Endpoint::kSessionCreate && endpoint != Endpoint::kSessionList &&
           endpoint != Endpoint::kSessionEndAll;
}

bool has_body(Endpoint endpoint) {
    return endpoint == Endpoint::kSessionCreate || endpoint == Endpoint::kSessionReplace ||
           endpoint == Endpoint::kSessionMerge || endpoint == Endpoint::kSessionRotate;
}

} // namespace

Task<void> SessionRoutes::serve(Context& context) {
    context.head_lines += "Cache-Control: no-store\r\n";
    BudgetShare share(budget_);
    std::string body;
    if (has_body(context.route->endpoint)) {
        const std::uint64_t bytes_max = std::min<std::uint64_t>(
            context.settings->max_body, context.settings->sessions.data_bytes_max + kBodySlack);
        auto read = co_await context.exchange.read_body(bytes_max, &share);
        if (!read) {
            co_await reply_error(context, read.error());
            co_return;
        }
        body = *std::move(read);
    }
    auto response = co_await answer(context, std::move(body));
    if (response) {
        co_await reply_with(context, *std::move(response));
        co_return;
    }
    if (response.error().code == ErrorCode::kStore)
        context.head_lines += "Retry-After: 1\r\n";
    co_await reply_error(context, response.error());
}

Task<SessionRoutes::Outcome> SessionRoutes::answer(Context& context, std::string body) {
    const Endpoint endpoint = context.route->endpoint;
    if (endpoint == Endpoint::kSessionCreate)
        co_return co_await create(context, std::move(body));
    if (!has_id(endpoint))
        co_return co_await all_of_user(context);
    session::Reference reference{
        .name_space = context.principal->name_space,
        .id = std::string(path_parameter(*context.route, context.exchange.head().path))};
    if (!session::is_id(reference.id)) // nothing that a store could have
        co_return not_found();
    if (endpoint == Endpoint::kSessionRead)
        co_return show_result(co_await store_.read_and_refresh(
            std::move(reference), context.settings->sessions.lifetime, context.store_budget));
    co_return co_await change(context, std::move(reference), std::move(body));
}

Task<SessionRoutes::Outcome> SessionRoutes::create(Context& context, std::string body) {
    const SessionSettings& settings = context.settings->sessions;
    auto creation = read_session_creation(body, settings.data_bytes_max);
    if (!creation)
        co_return std::unexpected(std::move(creation).error());
    auto session = co_await store_.create(
        {.name_space = context.principal->name_space, .user_id = std::move(creation->user_id)},
        std::move(creation->data), settings.lifetime, context.store_budget);
    if (!session)
        co_return to_client(std::move(session).error());
    co_return show_new(*session, 201);
}

Task<SessionRoutes::Outcome> SessionRoutes::change(Context& context, session::Reference reference,
                                                   std::string body) {
    const Endpoint endpoint = context.route->endpoint;
    const SessionSettings& settings = context.settings->sessions;
    const http::Fields& fields = context.exchange.head().fields;
    const std::string if_match = fields.joined("if-match");
    auto precondition = read_precondition(
        fields.count("if-match") > 0 ? std::optional<std::string_view>(if_match) : std::nullopt);
    if (!precondition)
        co_return std::unexpected(std::move(precondition).error());
    if (endpoint == Endpoint::kSessionReplace || endpoint == Endpoint::kSessionMerge) {
        auto data = read_session_data(body, settings.data_bytes_max);
        if (!data)
            co_return std::unexpected(std::move(data).error());
        if (endpoint == Endpoint::kSessionReplace)
            co_return co_await replace(context, std::move(reference), *std::move(data),
                                       *std::move(precondition));
        co_return co_await merge(context, std::move(reference), *std::move(data),
                                 *std::move(precondition));
    }
    if (const auto nothing = read_no_members(body); !nothing)
        co_return std::unexpected(nothing.error());
    auto expected = co_await choose(context, reference, *std::move(precondition));
    if (!expected)
        co_return to_client(std::move(expected).error());
    if (endpoint == Endpoint::kSessionRotate) {
        auto session = co_await store_.rotate(std::move(reference), *expected, settings.lifetime,
                                              context.store_budget);
        if (!session)
            co_return to_client(std::move(session).error());
        co_return show_new(*session, 200);
    }
    auto ended = co_await store_.destroy(std::move(reference), *expected, context.store_budget);
    if (!ended)
        co_return to_client(std::move(ended).error());
    co_return http::Response{.status = 204};
}

Task<SessionRoutes::Outcome> SessionRoutes::replace(Context& context, session::Reference reference,
                                                    std::string data, Precondition precondition) {
    auto expected = co_await choose(context, reference, std::move(precondition));
    if (!expected)
        co_return to_client(std::move(expected).error());
    co_return show_result(co_await store_.replace(std::move(reference), std::move(data), *expected,
                                                  context.settings->sessions.lifetime,
                                                  context.store_budget));
}

/// Reads, merges and puts the result in the place of what was read, again where somebody else was
/// faster: so two merges at once lose nothing of either.
Task<SessionRoutes::Outcome> SessionRoutes::merge(Context& context, session::Reference reference,
                                                  std::string patch, Precondition precondition) {
    const SessionSettings& settings = context.settings->sessions;
    for (int round = 0; round < kMergesMax; ++round) {
        const auto before =
            co_await store_.read_and_refresh(reference, settings.lifetime, context.store_budget);
        if (!before)
            co_return to_client(before.error());
        if (!precondition.admits(before->version))
            co_return failed_precondition();
        auto merged = merge_data(*before, patch, settings.data_bytes_max);
        if (!merged)
            co_return std::unexpected(std::move(merged).error());
        auto after = co_await store_.replace(reference, *std::move(merged), before->version,
                                             settings.lifetime, context.store_budget);
        if (after || after.error().code != ErrorCode::kConflict)
            co_return show_result(std::move(after));
    }
    co_return fail(ErrorCode::kOverloaded, "too many change this session at once; try again");
}

Task<SessionRoutes::Outcome> SessionRoutes::all_of_user(Context& context) {
    auto user_id = read_user_query(context.exchange.head().query);
    if (!user_id)
        co_return std::unexpected(std::move(user_id).error());
    session::Owner owner{.name_space = context.principal->name_space,
                         .user_id = *std::move(user_id)};
    if (context.route->endpoint == Endpoint::kSessionList) {
        const auto sessions = co_await store_.list(std::move(owner), context.store_budget);
        if (!sessions)
            co_return to_client(sessions.error());
        BudgetShare share(budget_);
        if (!share.grow(2 * bytes_of(*sessions))) // as they are, and as they are shown
            co_return fail(ErrorCode::kOverloaded, "too much is under way; try again");
        co_return make_response(200, write_sessions(*sessions));
    }
    const auto ended = co_await store_.destroy_all(std::move(owner), context.store_budget);
    if (!ended)
        co_return to_client(ended.error());
    co_return make_response(200, "{\"ended\":" + std::to_string(*ended) + '}');
}

Task<Result<session::Store::Expected>>
SessionRoutes::choose(Context& context, session::Reference reference, Precondition precondition) {
    if (precondition.versions.size() <= 1)
        co_return precondition.expected();
    const auto session = co_await store_.read_and_refresh(
        std::move(reference), context.settings->sessions.lifetime, context.store_budget);
    if (!session)
        co_return std::unexpected(session.error());
    if (!precondition.admits(session->version))
        co_return failed_precondition();
    co_return session->version;
}

} // namespace larder::api
