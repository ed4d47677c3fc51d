#include "session/sql_store.hpp"

#include "async/worker_call.hpp"

#include <utility>

namespace larder::session {
namespace {

constexpr auto kSweepInterval = std::chrono::seconds(1);
constexpr std::int64_t kSweepRows = 200;

std::unexpected<Error> unavailable() {
    return fail(ErrorCode::kStore, "the session store is not available");
}

} // namespace

SqlSessions::SqlSessions(SqlSessionSettings settings)
    : settings_(std::move(settings)), look_([this] { look(); }), worker_(1, settings_.queue_max) {
    LARDER_ASSERT(settings_.clock != nullptr);
    // Before the first call, so that health is known and the first caller doesn't wait for it.
    worker_.post([this] { (void)open(); });
}

SqlSessions::~SqlSessions() {
    stop();
}

void SqlSessions::stop() {
    worker_.stop();
    table_.reset();
}

/// Who asks while it is not well has it tried again, for there may be no call that would.
StoreHealth SqlSessions::health() const {
    StoreHealth now;
    {
        const std::lock_guard lock(mutex_);
        now = health_;
    }
    if (!now.ok && !looking_.exchange(true) && !worker_.post(look_))
        looking_ = false;
    return now;
}

void SqlSessions::look() {
    looking_ = false;
    if (!open())
        return;
    if (auto swept = table_->sweep(settings_.clock->epoch_ms(), kSweepRows); !swept)
        (void)note_failure(swept.error());
    else
        set_health(true, {});
}

template <class T> Task<Result<T>> SqlSessions::on_table(Job<T> job) {
    return async::call_worker<T>(
        worker_, [this, job = std::move(job)] { return work(job); },
        {.within = settings_.deadline,
         .late = {.code = ErrorCode::kStore, .message = "the session store did not answer in time"},
         .full = {.code = ErrorCode::kOverloaded,
                  .message = "too many calls wait for the session store"}});
}

Task<Result<Session>> SqlSessions::create(Owner owner, std::string data, Lifetime lifetime,
                                          async::TimeBudget&) {
    SessionTable::Creation creation{std::move(owner), std::move(data), lifetime,
                                    settings_.per_user_max};
    return on_table<Session>(
        [creation = std::move(creation)](SessionTable& table, std::int64_t now_ms) {
            return table.create(creation, now_ms);
        });
}

Task<Result<Session>> SqlSessions::read_and_refresh(Reference reference, Lifetime lifetime,
                                                    async::TimeBudget&) {
    return on_table<Session>(
        [reference = std::move(reference), lifetime](SessionTable& table, std::int64_t now_ms) {
            return table.read_and_refresh(reference, lifetime, now_ms);
        });
}

Task<Result<Session>> SqlSessions::replace(Reference reference, std::string data, Expected expected,
                                           Lifetime lifetime, async::TimeBudget&) {
    SessionTable::Replacement replacement{std::move(reference), std::move(data), expected,
                                          lifetime};
    return on_table<Session>(
        [replacement = std::move(replacement)](SessionTable& table, std::int64_t now_ms) {
            return table.replace(replacement, now_ms);
        });
}

Task<Result<Session>> SqlSessions::rotate(Reference reference, Expected expected, Lifetime lifetime,
                                          async::TimeBudget&) {
    SessionTable::Rotation rotation{std::move(reference), expected, lifetime};
    return on_table<Session>(
        [rotation = std::move(rotation)](SessionTable& table, std::int64_t now_ms) {
            return table.rotate(rotation, now_ms);
        });
}

Task<Result<void>> SqlSessions::destroy(Reference reference, Expected expected,
                                        async::TimeBudget&) {
    return on_table<void>(
        [reference = std::move(reference), expected](SessionTable& table, std::int64_t now_ms) {
            return table.destroy(reference, expected, now_ms);
        });
}

Task<Result<std::vector<Session>>> SqlSessions::list(Owner owner, async::TimeBudget&) {
    return on_table<std::vector<Session>>(
        [owner = std::move(owner)](SessionTable& table, std::int64_t now_ms) {
            return table.list(owner, now_ms);
        });
}

Task<Result<std::int64_t>> SqlSessions::destroy_all(Owner owner, async::TimeBudget&) {
    return on_table<std::int64_t>(
        [owner = std::move(owner)](SessionTable& table, std::int64_t now_ms) {
            return table.destroy_all(owner, now_ms);
        });
}

template <class T> Result<T> SqlSessions::work(const Job<T>& job) {
    if (auto opened = open(); !opened)
        return std::unexpected(std::move(opened).error());
    const std::int64_t now_ms = settings_.clock->epoch_ms();
    Result<T> result = job(*table_, now_ms);
    if (!result && result.error().code == ErrorCode::kStore)
        return std::unexpected(note_failure(result.error()));
    set_health(true, {});
    sweep(now_ms);
    return result;
}

/// Opens the file where that is needed and its turn has come.
Result<void> SqlSessions::open() {
    if (table_ != nullptr)
        return {};
    if (Steady::now() < retry_at_)
        return unavailable();
    const bool in_memory = settings_.path.empty() || settings_.path == ":memory:";
    auto opened = SessionTable::open(in_memory ? ":memory:" : settings_.path);
    if (!opened)
        return std::unexpected(note_failure(opened.error()));
    table_ = *std::move(opened);
    return {};
}

void SqlSessions::sweep(std::int64_t now_ms) {
    if (Steady::now() < swept_at_ + kSweepInterval)
        return;
    swept_at_ = Steady::now();
    if (auto swept = table_->sweep(now_ms, kSweepRows); !swept)
        (void)note_failure(swept.error());
}

/// A file that is only locked stays open; after any other trouble it is opened anew, for it may
/// have been put right by hand. What is only in memory stays as it is.
Error SqlSessions::note_failure(const Error& error) {
    const auto failure = sql::failure_of(error);
    const bool in_memory = settings_.path.empty() || settings_.path == ":memory:";
    if (failure != sql::Failure::kBusy && !in_memory) {
        table_.reset();
        retry_at_ = Steady::now() + settings_.retry_interval;
    }
    set_health(false, sql::describe(failure));
    return {.code = ErrorCode::kStore, .message = "the session store is not available"};
}

void SqlSessions::set_health(bool ok, std::string_view reason) {
    const StoreHealth now{.ok = ok, .reason = std::string(reason)};
    {
        const std::lock_guard lock(mutex_);
        if (health_.ok == now.ok && health_.reason == now.reason)
            return;
        health_ = now;
    }
    if (settings_.on_health)
        settings_.on_health(now);
}

std::unique_ptr<Store> make_sql_sessions(SqlSessionSettings settings) {
    return std::make_unique<SqlSessions>(std::move(settings));
}

} // namespace larder::session
