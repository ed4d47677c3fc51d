// The pipeline of a completion: effective request, key, cache, single flight, provider, entry.
// Shared by all threads.
#pragma once

#include "async/runtime.hpp"
#include "async/time_budget.hpp"
#include "base/budget.hpp"
#include "base/time.hpp"
#include "cache/memory_store.hpp"
#include "cache/store.hpp"
#include "gateway/alias_table.hpp"
#include "gateway/directives.hpp"
#include "gateway/fill_epochs.hpp"
#include "gateway/flight.hpp"
#include "gateway/flight_table.hpp"
#include "gateway/outcome.hpp"
#include "gateway/purge_table.hpp"
#include "gateway/routing.hpp"
#include "gateway/settings.hpp"
#include "gateway/wire_forms.hpp"
#include "http/client.hpp"
#include "ledger/ledger.hpp"
#include "provider/breaker.hpp"
#include "provider/caller.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::gateway {

struct AskedVectors; // both see embeddings.hpp
struct EmbeddingsBatch;
struct Plan; // these three see plan.hpp
struct PlanLookUp;
struct RequestReading;

/// A request as the API hands it over; the views live in the exchange's frame.
struct Inquiry {
    protocol::Dialect dialect = protocol::Dialect::kLlm;
    std::string_view body;
    std::string_view query; // forwarded and in the key
    std::string_view name_space;
    std::string_view user;
    std::string_view route = {};   // x-larder-route: a route's name, or a mode
    std::string_view session = {}; // x-larder-session: whose requests stay together
    http::OwnedFields forwarded;   // the client's fields from the allow-list
    Directives directives;
};

/// A request that was understood: what would be sent, to whom, and under which key its answer is
/// kept.
struct Prepared {
    std::shared_ptr<const Settings> settings;
    protocol::Call call;
    provider::Target target;                                    // points into `settings`
    protocol::Dialect dialect = protocol::Dialect::kOpenAiChat; // in which the provider is asked
    std::string upstream_body;
    std::string upstream_path;
    http::OwnedFields upstream_fields;
    std::string name_space;
    Directives directives; // of the inquiry, and what the body itself says
    bool has_body_directives = false;
    std::optional<std::size_t> rule; // of cache.rules, the one that decided
    llm::Fingerprint key{};
    cache::Generations generations;
    std::chrono::milliseconds ttl{0};
    ClientForm form = ClientForm::kLlmPlain;
    std::int64_t looked_up_ms = 0;  // when the cache was asked
    std::uint64_t epoch = 0;        // of the key's fills, then
    std::int64_t not_before_ms = 0; // max-age: what was made before this is too old
    bool may_read = false;          // the cache may answer
    bool may_join = false;          // the flight may be shared
    bool may_keep = false;          // the answer may be kept

    /// Under which its call may be joined: models of one deployment share answers, not calls.
    [[nodiscard]] llm::Fingerprint flight_key() const;

    std::shared_ptr<const AskedVectors> vectors; // of embeddings only
};

/// What went into a key, for those who explain it.
struct KeyContents {
    std::vector<std::pair<std::string, std::string>> parts;
    std::vector<std::string> ignored; // members of the effective body that are in no key
};

/// An entry that may answer.
struct Found {
    llm::Fingerprint key{};
    cache::EntryPtr entry;
    bool fresh = false; // false: only if the provider fails
};

/// Which node asks the provider, where several share a store. Both empty: this one, unasked.
struct Claim {
    std::string lease;  // this one, under this token
    std::string holder; // another request has this lease
};

/// What memory and store have for a key.
struct LookedUp {
    std::optional<Found> found;
    Claim claim; // where nothing fresh was found, and it was asked for
};

/// Where an answer is kept.
struct Inspected {
    std::optional<Found> found;
    bool from_store = false;
};

struct GatewayParts {
    async::Runtime& runtime;
    const Clock& clock;
    cache::MemoryStore& memory;
    cache::Store* store = nullptr; // may be null: memory only
    PurgeTable& purges;            // these two outlive the gateway and the store
    FillEpochs& epochs;
    ledger::Ledger& ledger;
    MemoryBudget& budget;
    http::ProxySettings proxy;
    /// Of one question to the store outside a client's request.
    std::chrono::microseconds store_wait{250'000};
};

class Gateway {
public:
    explicit Gateway(GatewayParts parts);
    ~Gateway();

    /// The key of `inquiry`'s bytes in the alias table.
    [[nodiscard]] Sha256 alias_key(const Settings& settings, const Inquiry& inquiry) const;
    /// A fresh entry for bytes that were seen before on this thread; nothing is parsed. `form` is
    /// set with it.
    [[nodiscard]] std::optional<Found> find_alias(const Sha256& alias, const Directives& directives,
                                                  ClientForm& form);
    void learn_alias(const Sha256& alias, const Prepared& prepared);
    /// The key that the same bytes had before on this thread, and the form that they asked for.
    [[nodiscard]] std::optional<Alias> known_alias(const Sha256& alias);

    /// Reads, routes, rewrites, and makes the key. The Error is the caller's fault, or names a
    /// provider that is missing. `contents`, where given, gets what the key is made of, and there
    /// is a key then though the request may share nothing.
    Result<Prepared> prepare(std::shared_ptr<const Settings> settings, const Inquiry& inquiry,
                             KeyContents* contents = nullptr) const;
    /// The same for a request that may have a route: each of its models, in the order in which they
    /// are to be asked. Those that can't take the request are left out unless none can.
    Result<Plan> plan(std::shared_ptr<const Settings> settings, const Inquiry& inquiry);
    /// What is to be sent for a way of the plan, taken out of it.
    Result<Prepared> take_way(Plan& plan, const Inquiry& inquiry, std::size_t way) const;
    /// Asks memory and store for all ways at once, and for the lease of the first if `wants_lease`.
    /// May suspend for what the budget has left.
    Task<PlanLookUp> look_up(Plan& plan, const Directives& directives, bool wants_lease,
                             async::TimeBudget& budget);
    /// No first byte came in a route's own time.
    void note_timeout(const provider::Target& target);
    /// What memory has of a key that may answer; not fresh: only if the provider fails.
    [[nodiscard]] std::optional<Found> find_kept(const llm::Fingerprint& key,
                                                 const Directives& directives);
    /// Memory, then the store; there also for the lease of the key if `wants_lease`. May suspend
    /// for what the budget has left.
    Task<LookedUp> look_up(llm::Fingerprint key, const Directives& directives, bool wants_lease,
                           async::TimeBudget& budget);
    /// What memory or the store has for a key, whatever its age; for those who explain it: nothing
    /// is counted, put or claimed.
    Task<Inspected> inspect(llm::Fingerprint key, async::TimeBudget& budget);
    /// The lease of a key whose entry, if there is one, is of no use here.
    Task<Claim> claim(llm::Fingerprint key, async::TimeBudget& budget);
    /// A lease that was taken for nothing.
    void give_up(const llm::Fingerprint& key, const Claim& claim);
    /// Whether nodes share a store that can say who asks the provider.
    [[nodiscard]] bool shares_flights() const {
        return parts_.store != nullptr && parts_.store->has_leases();
    }

    struct Joined {
        std::shared_ptr<Flight> flight;
        std::shared_ptr<Flight::Follower> follower;
        bool leads = false;
    };
    /// Joins the flight for the same key, or starts one on this thread.
    Joined join(Prepared prepared, const Directives& directives, Claim claim, Executor executor);
    /// The same for embeddings: a key for each input. `way`: of the route that the same request has
    /// taken before; else the route is chosen, and its first model is asked.
    Result<std::unique_ptr<EmbeddingsBatch>>
    prepare_embeddings(std::shared_ptr<const Settings> settings, const Inquiry& inquiry,
                       const RouteCandidate* way = nullptr);
    /// Finds the vectors that memory and store have; the batch outlives it. May suspend for what
    /// the budget has left.
    Task<void> look_up_vectors(EmbeddingsBatch& batch, async::TimeBudget& budget);
    /// Joins the flight for what is missing, or starts it. Once a batch.
    Joined join_vectors(EmbeddingsBatch& batch, Executor executor);
    /// Puts the vectors of its flight into the batch. False when they are not what was asked for.
    [[nodiscard]] bool take_asked(EmbeddingsBatch& batch, std::span<const cache::EntryPtr> vectors);
    /// Joins the flight for a key if there is one on this node.
    std::optional<Joined> join_running(const llm::Fingerprint& key, Executor executor);

    /// The bytes of a found entry in the form that the client wants; what is made here counts for
    /// the memory tier.
    Result<const cache::WireForm*> form_of(const Found& found, ClientForm form);
    /// Counts an answer that a client got. Errors count as nothing.
    void record(Outcome outcome, const cache::Entry& entry);
    void record(Outcome outcome, llm::Money saved);

    /// Ends everything that is in the cache under `name_space` and `model` (empty: all): here at
    /// once, in programs that share the store as soon as they see it there.
    void purge(std::string_view name_space, std::string_view model);

    /// An entry that can't be shown is none.
    void discard(const Found& found);
    /// Ends all flights, so that other nodes need not wait for them. Blocking, for half a second at
    /// most; from outside the runtime, which still runs.
    void stop();

    [[nodiscard]] provider::Breakers& breakers() { return breakers_; }
    [[nodiscard]] provider::HealthTable& health() { return health_; }
    /// Of one question to the store outside a client's request.
    [[nodiscard]] std::chrono::microseconds store_wait() const { return parts_.store_wait; }
    [[nodiscard]] std::size_t flights() const { return table_.size(); }

private:
    struct ThreadState {
        ThreadState(asio::io_context& context_in, http::ProxySettings proxy)
            : context(context_in), client(context_in, std::move(proxy)) {}
        asio::io_context& context;
        http::Client client;
        AliasTable aliases;
    };

    ThreadState& thread_state();
    Result<Prepared> aim(const RequestReading& reading, const Inquiry& inquiry,
                         provider::Target target, KeyContents* contents) const;
    Result<RouteChoice> choose_route(const Settings& settings, const Inquiry& inquiry,
                                     const json::Document& body, const protocol::Call& call);
    Result<void> add_ways(Plan& plan, const RequestReading& reading, const Inquiry& inquiry) const;
    struct WayLookUps;
    Task<void> look_up_way(std::shared_ptr<WayLookUps> lookups, std::size_t way,
                           llm::Fingerprint key, Directives directives, bool wants_lease,
                           std::chrono::microseconds wait);
    [[nodiscard]] cache::Generations generations_of(std::string_view name_space,
                                                    std::string_view model) const;
    [[nodiscard]] std::optional<Found> judge(const llm::Fingerprint& key, cache::EntryPtr entry,
                                             const Directives& directives) const;
    [[nodiscard]] bool is_confirmed(const cache::Entry& entry) const;
    Task<void> fly(std::shared_ptr<Flight> flight, Prepared prepared, Claim claim);
    Task<void> ask(std::shared_ptr<Flight> flight, const Prepared& prepared, std::string lease,
                   FlightEnd& end);
    Task<bool> wait_for_another(std::shared_ptr<Flight> flight, const Prepared& prepared,
                                Claim& claim, FlightEnd& end);
    Task<Result<void>> fetch(provider::ProviderCall& call, Flight& flight, const Prepared& prepared,
                             FlightEnd& end);
    Task<Result<void>> read_vectors(provider::ProviderCall& call, const Prepared& prepared,
                                    FlightEnd& end);
    [[nodiscard]] bool find_vectors_again(const Prepared& prepared, FlightEnd& end) const;
    void keep_vectors(const Prepared& prepared, const FlightEnd& end);
    struct VectorLookups;
    Task<void> look_up_some(std::shared_ptr<VectorLookups> lookups);
    void take_vector(EmbeddingsBatch& batch, std::size_t index, std::optional<Found> found);
    [[nodiscard]] bool is_current(const cache::Entry& entry) const;
    [[nodiscard]] bool is_overtaken(const Prepared& prepared) const;
    [[nodiscard]] bool find_again(const Prepared& prepared, FlightEnd& end) const;
    void raise(cache::PurgeScope scope);
    bool keep(const Prepared& prepared, const FlightEnd& end, const std::string& lease);

    GatewayParts parts_;
    std::vector<std::unique_ptr<ThreadState>> threads_;
    FlightTable table_;
    provider::Breakers breakers_;
    provider::HealthTable health_;
    RouteCounters route_counters_;
};

} // namespace larder::gateway
