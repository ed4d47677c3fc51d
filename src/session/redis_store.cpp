#include "session/redis_store.hpp"

#include "base/text.hpp"
#include "session/scripts.hpp"

#include <charconv>
#include <optional>
#include <utility>

namespace larder::session {
namespace {

/// How often an operation starts again because the user's sessions changed meanwhile.
constexpr int kRoundsMax = 8;
/// Sessions that are read in one go.
constexpr std::size_t kListChunk = 50;
constexpr std::size_t kAnswerFields = 8;

std::unexpected<Error> unavailable() {
    return fail(ErrorCode::kStore, "the session store is not available");
}

/// What the caller is told; the reason in full is in the client's health, and none of its words
/// come from here.
std::unexpected<Error> to_caller(const Error& error) {
    if (error.code == ErrorCode::kTimeout)
        return fail(ErrorCode::kStore, "the session store did not answer in time");
    return unavailable();
}

std::unexpected<Error> not_found() {
    return fail(ErrorCode::kNotFound, "there is no such session");
}

std::string hash_text(std::string_view id) {
    const Sha256 hash = hash_of(id);
    return text::base64url({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

std::string number(std::chrono::milliseconds duration) {
    return std::to_string(duration.count());
}

std::string number(const Store::Expected& version) {
    return version ? std::to_string(*version) : std::string();
}

/// The number in an answer's field; nullopt for anything else.
std::optional<std::int64_t> to_number(const redis::Reply& reply) {
    std::int64_t value = 0;
    const char* end = reply.text.data() + reply.text.size();
    const auto [stopped, error] = std::from_chars(reply.text.data(), end, value);
    if (!reply.is_text() || error != std::errc() || stopped != end)
        return std::nullopt;
    return value;
}

/// A session from id, user, data, created, accessed, expires, version, beginning at `first`.
std::optional<Session> to_session(std::vector<redis::Reply>& fields, std::size_t first) {
    if (fields.size() != first + 7)
        return std::nullopt;
    const auto created = to_number(fields[first + 3]);
    const auto accessed = to_number(fields[first + 4]);
    const auto expires = to_number(fields[first + 5]);
    const auto version = to_number(fields[first + 6]);
    const bool has_texts =
        fields[first].is_text() && fields[first + 1].is_text() && fields[first + 2].is_text();
    if (!has_texts || !created || !accessed || !expires || !version)
        return std::nullopt;
    return Session{.id = std::move(fields[first].text),
                   .user_id = std::move(fields[first + 1].text),
                   .data = std::move(fields[first + 2].text),
                   .created_ms = *created,
                   .accessed_ms = *accessed,
                   .expires_ms = *expires,
                   .version = *version};
}

/// The first word of a script's answer; empty for anything that isn't one.
std::string_view word_of(const redis::Reply& reply) {
    if (reply.kind != redis::Reply::Kind::kArray || reply.items.empty() ||
        !reply.items.front().is_text())
        return {};
    return reply.items.front().text;
}

/// kNotFound, kConflict, or nothing where the answer is "ok".
Result<void> check(const redis::Reply& reply) {
    const std::string_view word = word_of(reply);
    if (word == "ok")
        return {};
    if (word == "none")
        return not_found();
    if (word == "other")
        return fail(ErrorCode::kConflict, "the session has another version");
    return unavailable();
}

Result<Session> read_answer(Result<redis::Reply> reply) {
    if (!reply)
        return to_caller(reply.error());
    LARDER_CHECK(check(*reply));
    auto session = to_session(reply->items, kAnswerFields - 7);
    if (!session)
        return unavailable();
    return *std::move(session);
}

/// The texts of an answer from its second item on; none where one is no text.
std::vector<std::string> texts_of(redis::Reply reply, std::size_t first) {
    std::vector<std::string> texts;
    for (std::size_t i = first; i < reply.items.size(); ++i) {
        if (!reply.items[i].is_text())
            return {};
        texts.push_back(std::move(reply.items[i].text));
    }
    return texts;
}

} // namespace

std::string RedisSessions::stem(std::string_view tag) const {
    std::string stem = settings_.prefix;
    ((stem += ":{") += tag) += "}:";
    return stem;
}

StoreHealth RedisSessions::health() const {
    const redis::Health health = client_.health();
    return {.ok = health.ok, .reason = health.reason};
}

Task<Result<redis::Reply>> RedisSessions::run(const redis::Script& script, redis::ScriptCall call,
                                              async::TimeBudget& budget) {
    if (budget.is_spent())
        co_return fail(ErrorCode::kTimeout, "no time is left");
    const async::TimeBudget::Spending spending(budget);
    co_return co_await client_.script(script, std::move(call), budget.left());
}

Task<Result<Session>> RedisSessions::create(Owner owner, std::string data, Lifetime lifetime,
                                            async::TimeBudget& budget) {
    const std::string id = make_id(owner);
    const std::string hash = hash_text(id);
    const std::string begin = stem(tag_of_id(id));
    std::string makes_room; // hash of the one that is ended for the new one
    for (int round = 0; round < kRoundsMax; ++round) {
        redis::ScriptCall call{.keys = {begin + hash, begin + "index", begin + makes_room},
                               .args = {hash, id, owner.name_space, owner.user_id, data,
                                        number(lifetime.ttl), number(lifetime.max_age),
                                        std::to_string(settings_.per_user_max), makes_room}};
        auto reply = co_await run(create_script(), std::move(call), budget);
        if (!reply || word_of(*reply) != "full") {
            auto session = read_answer(std::move(reply));
            if (session)
                session->data = std::move(data);
            co_return session;
        }
        if (reply->items.size() != 2 || !reply->items[1].is_text())
            co_return unavailable();
        makes_room = std::move(reply->items[1].text);
    }
    co_return fail(ErrorCode::kOverloaded, "this user's sessions change too fast");
}

Task<Result<Session>> RedisSessions::read_and_refresh(Reference reference, Lifetime lifetime,
                                                      async::TimeBudget& budget) {
    if (!is_id(reference.id))
        co_return not_found();
    const std::string hash = hash_text(reference.id);
    const std::string begin = stem(tag_of_id(reference.id));
    redis::ScriptCall call{
        .keys = {begin + hash, begin + "index"},
        .args = {hash, reference.name_space, number(lifetime.ttl), number(lifetime.max_age)},
        .idempotent = true};
    co_return read_answer(co_await run(read_script(), std::move(call), budget));
}

Task<Result<Session>> RedisSessions::replace(Reference reference, std::string data,
                                             Expected expected, Lifetime lifetime,
                                             async::TimeBudget& budget) {
    if (!is_id(reference.id))
        co_return not_found();
    const std::string hash = hash_text(reference.id);
    const std::string begin = stem(tag_of_id(reference.id));
    redis::ScriptCall call{.keys = {begin + hash, begin + "index"},
                           .args = {hash, reference.name_space, number(lifetime.ttl),
                                    number(lifetime.max_age), number(expected), data}};
    auto session = read_answer(co_await run(replace_script(), std::move(call), budget));
    if (session)
        session->data = std::move(data);
    co_return session;
}

Task<Result<Session>> RedisSessions::rotate(Reference reference, Expected expected,
                                            Lifetime lifetime, async::TimeBudget& budget) {
    if (!is_id(reference.id))
        co_return not_found();
    const std::string hash = hash_text(reference.id);
    const std::string_view tag = tag_of_id(reference.id);
    const std::string begin = stem(tag);
    const std::string new_id = make_id_with_tag(tag);
    const std::string new_hash = hash_text(new_id);
    redis::ScriptCall call{.keys = {begin + hash, begin + "index", begin + new_hash},
                           .args = {hash, reference.name_space, number(lifetime.ttl),
                                    number(lifetime.max_age), number(expected), new_hash, new_id}};
    co_return read_answer(co_await run(rotate_script(), std::move(call), budget));
}

Task<Result<void>> RedisSessions::destroy(Reference reference, Expected expected,
                                          async::TimeBudget& budget) {
    if (!is_id(reference.id))
        co_return not_found();
    const std::string hash = hash_text(reference.id);
    const std::string begin = stem(tag_of_id(reference.id));
    redis::ScriptCall call{.keys = {begin + hash, begin + "index"},
                           .args = {hash, reference.name_space, number(expected)}};
    auto reply = co_await run(destroy_script(), std::move(call), budget);
    if (!reply)
        co_return to_caller(reply.error());
    co_return check(*reply);
}

Task<Result<std::vector<Session>>> RedisSessions::list(Owner owner, async::TimeBudget& budget) {
    const std::string begin = stem(tag_of(owner));
    if (budget.is_spent())
        co_return to_caller({.code = ErrorCode::kTimeout});
    const async::TimeBudget::Spending spending(budget);
    const auto deadline = async::TimeBudget::Steady::now() + budget.left();
    const auto left = [&] {
        return std::chrono::duration_cast<std::chrono::microseconds>(
            deadline - async::TimeBudget::Steady::now());
    };
    auto members = co_await client_.run(redis::Command("ZRANGE")
                                            .key(begin + "index")
                                            .arg(0)
                                            .arg(static_cast<std::int64_t>(settings_.per_user_max))
                                            .idempotent(),
                                        left());
    if (!members)
        co_return to_caller(members.error());
    const std::vector<std::string> hashes = texts_of(*std::move(members), 0);
    std::vector<Session> sessions;
    std::size_t bytes = 0;
    for (std::size_t next = 0; next < hashes.size();) {
        std::vector<redis::Command> commands;
        for (; next < hashes.size() && commands.size() < kListChunk; ++next) {
            redis::Command command("HMGET");
            command.key(begin + hashes[next]).idempotent();
            for (const std::string_view field :
                 {"space", "id", "user", "data", "created", "accessed", "expires", "version"})
                command.arg(field);
            commands.push_back(std::move(command));
        }
        auto replies = co_await client_.pipeline(std::move(commands), left());
        for (Result<redis::Reply>& reply : replies) {
            if (!reply)
                co_return to_caller(reply.error());
            auto session = to_session(reply->items, 1); // nothing where it has ended meanwhile
            if (!session || reply->items[0].text != owner.name_space ||
                session->user_id != owner.user_id)
                continue;
            bytes += session->data.size();
            sessions.push_back(*std::move(session));
        }
        if (bytes > kListBytesMax)
            co_return fail(ErrorCode::kTooLarge, kListTooLarge);
    }
    co_return sessions;
}

Task<Result<std::int64_t>> RedisSessions::destroy_all(Owner owner, async::TimeBudget& budget) {
    const std::string begin = stem(tag_of(owner));
    std::vector<std::string> hashes;
    for (int round = 0; round < kRoundsMax; ++round) {
        redis::ScriptCall call{.keys = {begin + "index"},
                               .args = {owner.name_space, owner.user_id}};
        for (const std::string& hash : hashes) {
            call.keys.push_back(begin + hash);
            call.args.push_back(hash);
        }
        auto reply = co_await run(destroy_all_script(), std::move(call), budget);
        if (!reply)
            co_return to_caller(reply.error());
        if (word_of(*reply) == "ok") {
            const auto ended = reply->items.size() == 2 ? to_number(reply->items[1]) : std::nullopt;
            if (!ended)
                co_return unavailable();
            co_return *ended;
        }
        if (word_of(*reply) != "again")
            co_return unavailable();
        hashes = texts_of(*std::move(reply), 1);
    }
    co_return fail(ErrorCode::kOverloaded, "this user's sessions change too fast");
}

std::unique_ptr<Store> make_redis_sessions(redis::Client& client, RedisSessionSettings settings) {
    return std::make_unique<RedisSessions>(client, std::move(settings));
}

} // namespace larder::session
