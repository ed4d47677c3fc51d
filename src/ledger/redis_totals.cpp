#include "ledger/redis_totals.hpp"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace larder::ledger {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kHash = "HMGET";
constexpr milliseconds kGrace{250}; // for the thread that asks, beyond what the store gets

/// KEYS: the hash, the node's sequence number. ARGV: the sequence number, its seconds to live, how
/// many fields there are, their names, and what each has more. The hash is looked at before
/// anything is written, so that a key of another type ends the script first; then the number, which
/// a full or read-only server refuses; an addition alone can no longer fail but for its own field.
const redis::Script& add_script() {
    static const redis::Script script(R"(
local count = tonumber(ARGV[3])
local names = {}
for i = 1, count do
  names[i] = ARGV[3 + i]
end
redis.call('HMGET', KEYS[1], unpack(names))
local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
if tonumber(ARGV[1]) > last then
  redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
  for i = 1, count do
    local more = ARGV[3 + count + i]
    if more ~= '0' then
      local reply = redis.pcall('HINCRBY', KEYS[1], names[i], more)
      if type(reply) == 'table' and reply.err then
        local over = string.find(reply.err, 'overflow', 1, true)
        redis.call('HSET', KEYS[1], names[i], over and '9223372036854775807' or more)
      end
    end
  end
end
return redis.call('HMGET', KEYS[1], unpack(names))
)");
    return script;
}

/// Where the asking thread leaves the reply for the one that waits; outlives either.
struct Mailbox {
    std::mutex mutex;
    std::condition_variable filled;
    std::optional<Result<redis::Reply>> reply;
};

Task<void> deliver(Task<Result<redis::Reply>> task, std::shared_ptr<Mailbox> mailbox) {
    auto reply = co_await std::move(task);
    const std::lock_guard lock(mailbox->mutex);
    mailbox->reply = std::move(reply);
    mailbox->filled.notify_one();
}

/// Coroutines of their own, for their frames keep what the store's commands refer to.
Task<Result<redis::Reply>> ask(redis::Client& client, redis::Command command, milliseconds within) {
    co_return co_await client.run(std::move(command), within);
}
Task<Result<redis::Reply>> add(redis::Client& client, redis::ScriptCall call, milliseconds within) {
    co_return co_await client.script(add_script(), std::move(call), within);
}

} // namespace

RedisTotals::RedisTotals(redis::Client& client, async::Runtime& runtime,
                         RedisTotalsSettings settings)
    : client_(client), runtime_(runtime), totals_key_("{" + settings.prefix + "}:totals"),
      node_key_(totals_key_ + ":" + settings.node) {}

Pace RedisTotals::pace() const {
    if (client_.traits().kind == "upstash")
        return {.batch = milliseconds(5'000), .read = milliseconds(60'000)};
    return {};
}

Result<Sums> RedisTotals::add(const Batch& batch, milliseconds within) {
    constexpr int kDay = 86'400;
    redis::ScriptCall call{
        .keys = {totals_key_, node_key_},
        .args = {std::to_string(batch.sequence), std::to_string(kDay), std::to_string(kFields)},
        .idempotent = true};
    call.args.insert(call.args.end(), kFieldNames.begin(), kFieldNames.end());
    for (const std::int64_t more : batch.delta)
        call.args.push_back(std::to_string(more));
    return run(ledger::add(client_, std::move(call), within), within);
}

Result<Sums> RedisTotals::read(milliseconds within) {
    redis::Command command(kHash);
    command.key(totals_key_).idempotent();
    for (const std::string_view name : kFieldNames)
        command.arg(name);
    return run(ask(client_, std::move(command), within), within);
}

/// The task touches only the client and the mailbox, so that it may end after this has given up.
Result<Sums> RedisTotals::run(Task<Result<redis::Reply>> task, milliseconds within) {
    auto mailbox = std::make_shared<Mailbox>();
    async::spawn("ledger totals", runtime_.context(0).get_executor(),
                 deliver(std::move(task), mailbox));
    std::unique_lock lock(mailbox->mutex);
    if (!mailbox->filled.wait_for(lock, within + kGrace,
                                  [&] { return mailbox->reply.has_value(); }))
        return fail(ErrorCode::kTimeout, "it does not answer");
    const Result<redis::Reply>& reply = *mailbox->reply;
    if (!reply)
        return std::unexpected(reply.error());
    return read_sums(*reply);
}

Result<Sums> read_sums(const redis::Reply& reply) {
    if (reply.is_error())
        return std::unexpected(redis::error_of(reply.text));
    if (reply.kind != redis::Reply::Kind::kArray || reply.items.size() != kFields)
        return fail(ErrorCode::kStore, "it gives no sums");
    Sums sums{};
    for (std::size_t i = 0; i < kFields; ++i) {
        const redis::Reply& item = reply.items[i];
        const char* const last = item.text.data() + item.text.size();
        std::int64_t value = item.integer;
        if (item.is_text()) {
            const auto [end, error] = std::from_chars(item.text.data(), last, value);
            if (error != std::errc() || end != last)
                value = 0;
        }
        sums[i] = std::max<std::int64_t>(value, 0);
    }
    return sums;
}

std::unique_ptr<TotalsStore> make_redis_totals(redis::Client& client, async::Runtime& runtime,
                                               RedisTotalsSettings settings) {
    return std::make_unique<RedisTotals>(client, runtime, std::move(settings));
}

} // namespace larder::ledger
