// Reading and writing the hash of the purges.
#include "cache/redis_purges.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "cache/news.hpp"
#include "cache/redis_scripts.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace larder::cache {
namespace {

constexpr std::size_t kPurgesAtOnce = 500;
/// The scripts' numbers are exact up to here. Another generation counts as absent.
constexpr std::uint64_t kGenerationMax = (1ULL << 53U) - 1;

std::unexpected<Error> unreadable() {
    return fail(ErrorCode::kStore, "the purges of the shared store can't be read");
}

/// Unlike every other one, so that also a database that lost its data never shows a known one over
/// other purges.
std::string make_version() {
    std::array<unsigned char, 8> bytes{};
    random_bytes(bytes);
    return text::hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string version_of(const redis::Reply& reply) {
    return reply.is_text() ? reply.text : std::string();
}

} // namespace

std::string field_of(const PurgeScope& scope) {
    return letter_of(scope.kind) + scope.name;
}

PurgeSet read_purges(const redis::Reply& flat_hash) {
    PurgeSet purges;
    for (std::size_t i = 0; i + 1 < flat_hash.items.size(); i += 2) {
        const std::string& field = flat_hash.items[i].text;
        const auto generation = read_number(flat_hash.items[i + 1].text);
        if (!generation || *generation > kGenerationMax)
            continue;
        // A message has the same bounds, so that both say the same.
        std::string message = "p ";
        message.append(field, 0, 1).append(" ").append(flat_hash.items[i + 1].text).append(" ");
        if (field.size() > 1)
            message.append(field, 1);
        auto news = read_news(message);
        if (auto* purge = news ? std::get_if<Purge>(&*news) : nullptr)
            purges.merge(std::move(*purge));
    }
    return purges;
}

RedisPurges::RedisPurges(redis::Client& client, const RedisKeys& keys, Told told)
    : client_(client), keys_(keys), told_(std::move(told)) {}

void RedisPurges::add(Purge purge) {
    const std::lock_guard lock(mutex_);
    pending_.merge(std::move(purge));
}

bool RedisPurges::has_pending() const {
    const std::lock_guard lock(mutex_);
    return !pending_.empty();
}

bool RedisPurges::is_new(std::string_view version) const {
    const std::lock_guard lock(mutex_);
    return version_ != version;
}

std::vector<Purge> RedisPurges::learn(const std::vector<Purge>& purges) {
    std::vector<Purge> learned;
    const std::lock_guard lock(mutex_);
    for (const Purge& purge : purges) {
        if (known_.merge(purge))
            learned.push_back(purge);
    }
    if (!learned.empty())
        version_.reset(); // is all of it really there? The next look compares
    return learned;
}

void RedisPurges::tell(const std::vector<Purge>& purges) const {
    if (!purges.empty() && told_)
        told_(purges);
}

void RedisPurges::heard(Purge purge) {
    if (purge.generation > kGenerationMax)
        return;
    tell(learn({std::move(purge)}));
}

Task<Result<void>> RedisPurges::flush(std::chrono::microseconds within) {
    std::vector<Purge> taken;
    {
        const std::lock_guard lock(mutex_);
        taken = std::exchange(pending_, PurgeSet()).list();
    }
    for (auto purge = taken.begin(); purge != taken.end(); ++purge) {
        auto written = co_await write(*purge, within);
        if (written)
            continue;
        const std::lock_guard lock(mutex_);
        std::for_each(purge, taken.end(), [this](const Purge& waits) { pending_.merge(waits); });
        co_return std::unexpected(std::move(written).error());
    }
    co_return Result<void>();
}

Task<Result<void>> RedisPurges::write(Purge purge, std::chrono::microseconds within) {
    redis::ScriptCall call{
        .keys = {keys_.purges(), keys_.purges_version()},
        .args = {field_of(purge.scope), std::to_string(purge.generation), make_version()}};
    auto reply = co_await client_.script(RedisScripts::all().raise_purge, std::move(call), within);
    if (!reply)
        co_return std::unexpected(std::move(reply).error());
    const auto generation = read_number(reply->text);
    if (!generation || *generation > kGenerationMax)
        co_return unreadable();
    const bool was_raised = *generation != purge.generation;
    purge.generation = *generation;
    learn({purge});
    if (was_raised)
        tell({purge});
    // The other nodes read the hash every second, should they not hear this.
    if (client_.traits().push)
        (void)co_await client_.run(client_.publish_command(keys_.news(), write_news(purge)),
                                   within);
    co_return Result<void>();
}

Task<Result<void>> RedisPurges::refresh(bool always, std::chrono::microseconds within) {
    if (!always) {
        std::vector<redis::Command> commands;
        commands.push_back(redis::Command("GET").key(keys_.purges_version()).idempotent());
        commands.push_back(redis::Command("HLEN").key(keys_.purges()).idempotent());
        auto replies = co_await client_.pipeline(std::move(commands), within);
        if (replies.size() != 2 || !replies[0] || !replies[1])
            co_return unreadable();
        const std::lock_guard lock(mutex_);
        // A server that is full may have dropped the hash and kept the version.
        if (version_ == version_of(*replies[0]) && fields_ == replies[1]->integer)
            co_return Result<void>();
    }
    co_return co_await read_all(within);
}

Task<Result<void>> RedisPurges::read_all(std::chrono::microseconds within) {
    std::vector<redis::Command> commands;
    // In this order: a purge between the two is found again at the next look.
    commands.push_back(redis::Command("GET").key(keys_.purges_version()).idempotent());
    commands.push_back(redis::Command("HGETALL").key(keys_.purges()).idempotent());
    auto replies = co_await client_.pipeline(std::move(commands), within);
    if (replies.size() != 2 || !replies[0] || !replies[1])
        co_return replies.size() == 2 && !replies[1] ? std::unexpected(replies[1].error())
                                                     : unreadable();
    const PurgeSet there = read_purges(*replies[1]);
    tell(learn(there.list()));
    std::vector<Purge> lacking;
    {
        const std::lock_guard lock(mutex_);
        version_ = version_of(*replies[0]);
        fields_ = static_cast<std::int64_t>(replies[1]->items.size() / 2);
        for (Purge& purge : known_.list()) {
            if (there.of(purge.scope) < purge.generation)
                lacking.push_back(std::move(purge));
        }
        if (!lacking.empty())
            version_.reset(); // looked at again when it was put in, or could not be
    }
    co_return co_await put_in(std::move(lacking), within);
}

Task<Result<void>> RedisPurges::put_in(std::vector<Purge> lacking,
                                       std::chrono::microseconds within) {
    for (std::size_t from = 0; from < lacking.size(); from += kPurgesAtOnce) {
        redis::ScriptCall call{.keys = {keys_.purges(), keys_.purges_version()},
                               .args = {make_version()},
                               .idempotent = true};
        for (std::size_t i = from; i < std::min(from + kPurgesAtOnce, lacking.size()); ++i) {
            call.args.push_back(field_of(lacking[i].scope));
            call.args.push_back(std::to_string(lacking[i].generation));
        }
        auto reply =
            co_await client_.script(RedisScripts::all().merge_purges, std::move(call), within);
        if (!reply)
            co_return std::unexpected(std::move(reply).error());
    }
    co_return Result<void>();
}

} // namespace larder::cache
