// The calls of a step: tries, repairs, what each may cost, and the coroutine that waits for them.
#include "ledger/totals_store.hpp"
#include "workflow/run_state.hpp"
#include "workflow/step_request.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <charconv>
#include <exception>

namespace larder::workflow {
namespace {

/// Of a call that is under way: the unit's body, the request's, and what is sent to the provider.
constexpr std::size_t kCopiesOfABody = 3;

void add(llm::Money& sum, llm::Money amount) {
    sum.picodollars = ledger::add_saturating(sum.picodollars, amount.picodollars);
}

/// "$0.05"
std::string in_dollars(llm::Money money) {
    std::array<char, 64> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(),
                                            money.dollars(), std::chars_format::fixed);
    return "$" + std::string(digits.data(), end);
}

std::unexpected<Error> cancelled() {
    return fail(ErrorCode::kCancelled, "it was cancelled");
}

void add_usage(llm::Usage& sum, const llm::Usage& usage) {
    for (const auto member :
         {&llm::Usage::input, &llm::Usage::cached_input, &llm::Usage::cache_write,
          &llm::Usage::cache_write_1h, &llm::Usage::output, &llm::Usage::reasoning})
        sum.*member = ledger::add_saturating(sum.*member, usage.*member);
}

Task<void> wait_a_while(std::shared_ptr<Unit> unit, Executor executor,
                        std::chrono::milliseconds delay) {
    unit->delay.emplace(executor, delay);
    co_await unit->delay->async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
    unit->delay.reset();
}

Task<Result<StepOutput>> perform(std::shared_ptr<RunState> run, std::shared_ptr<Unit> unit) {
    if (auto prepared = run->prepare(*unit); !prepared)
        co_return std::unexpected(std::move(prepared).error());
    while (!unit->is_cancelled) {
        if (auto taken = run->take_call(*unit); !taken)
            co_return std::unexpected(std::move(taken).error());
        const RunParts& parts = run->parts();
        unit->completion =
            std::make_unique<gateway::Completion>(parts.gateway, parts.clock, parts.executor);
        auto reply = co_await unit->completion->run(parts.settings, run->make_request(*unit),
                                                    run->make_text_listener(*unit));
        unit->completion.reset();
        AfterTry after = run->settle(*unit, std::move(reply));
        if (after.end)
            co_return *std::move(after.end);
        if (after.delay.count() > 0)
            co_await wait_a_while(unit, parts.executor, after.delay);
    }
    co_return cancelled();
}

} // namespace

Task<void> run_unit(std::shared_ptr<RunState> run, std::shared_ptr<Unit> unit) {
    Result<StepOutput> result = cancelled();
    try {
        result = co_await perform(run, unit);
    } catch (const std::exception&) { // of a library, out of memory say; others wait for this one
        result = fail(ErrorCode::kInternal, "internal error");
    }
    unit->completion.reset();
    run->unit_over(unit, std::move(result));
}

Error named(Error error, const Step& step) {
    return std::move(error).with("step \"" + step.id + "\"");
}

Result<void> RunState::prepare(Unit& unit) {
    const Step& step = workflow_.steps[unit.step];
    Item item;
    if (unit.item) {
        LARDER_TRY(item.value, JsonText::parse(std::string(works_[unit.step].items[*unit.item])));
        item.index = *unit.item;
    }
    LARDER_TRY(unit.body, make_step_body(step, scope(unit.item ? &item : nullptr),
                                         {.prompt_bytes = parts_.limits.prompt_bytes,
                                          .stream = parts_.listener != nullptr}));
    unit.keeps = step.output_schema != nullptr || step.retry.attempts > 1;
    if (parts_.budget != nullptr)
        unit.share.emplace(*parts_.budget);
    return count_body(unit);
}

/// What a body takes while its call is under way.
Result<void> RunState::count_body(Unit& unit) {
    if (unit.share && !unit.share->grow(kCopiesOfABody * unit.body.size()))
        return fail(ErrorCode::kOverloaded, "too much is under way; try again");
    return {};
}

const std::vector<Candidate>& RunState::models_of_step(std::size_t index) {
    std::vector<Candidate>& models = works_[index].models;
    if (models.empty())
        models = models_of(parts_.settings->catalog, workflow_.steps[index]);
    return models;
}

llm::Money RunState::cost_of_the_longest(const Unit& unit) {
    llm::Usage usage = unit.at_most;
    if (usage.output == 0)
        usage.output = llm::estimate_tokens(parts_.limits.output_bytes);
    return cost_at_most(models_of_step(unit.step), usage);
}

Result<void> RunState::take_call(Unit& unit) {
    if (static_cast<std::size_t>(report_.calls) >= parts_.limits.calls)
        return fail(ErrorCode::kUnprocessable, "the workflow has made all the " +
                                                   std::to_string(parts_.limits.calls) +
                                                   " calls that it may make");
    unit.at_most = {.input = llm::estimate_tokens(unit.body.size()),
                    .output = workflow_.steps[unit.step].max_tokens.value_or(0)};
    const llm::Money estimate = cost_at_most(models_of_step(unit.step), unit.at_most);
    const std::int64_t used =
        ledger::add_saturating(report_.cost.picodollars, reserved_.picodollars);
    if (used > cost_max_.picodollars || estimate.picodollars > cost_max_.picodollars - used)
        return fail(ErrorCode::kUnprocessable,
                    "this call could take the workflow above its cost bound of " +
                        in_dollars(cost_max_));
    unit.reserved = estimate;
    reserved_.picodollars += estimate.picodollars;
    ++report_.calls;
    ++report_.steps[unit.step].calls;
    return {};
}

gateway::CompletionRequest RunState::make_request(Unit& unit) const {
    const Step& step = workflow_.steps[unit.step];
    return {.body = unit.keeps ? unit.body : std::move(unit.body),
            .name_space = parts_.name_space,
            .user = parts_.user,
            .uses_cache = step.uses_cache,
            .text_max = parts_.limits.output_bytes};
}

std::function<void(std::string_view)> RunState::make_text_listener(const Unit& unit) const {
    if (parts_.listener == nullptr)
        return nullptr;
    return [listener = parts_.listener, step = &workflow_.steps[unit.step],
            item = unit.item](std::string_view text) { listener->delta(*step, item, text); };
}

AfterTry RunState::settle(Unit& unit, gateway::CompletionReply reply) {
    const Step& step = workflow_.steps[unit.step];
    StepReport& report = report_.steps[unit.step];
    reserved_.picodollars -= std::exchange(unit.reserved, {}).picodollars;
    if (reply.error && reply.error->detail == kAnswerTooLarge)
        reply.cost = cost_of_the_longest(unit); // it was paid for
    add(reply.is_saved ? report.saved : report.cost, reply.cost);
    add(reply.is_saved ? report_.saved : report_.cost, reply.cost);
    report_.tokens = ledger::add_saturating(report_.tokens, reply.usage.total());
    add_usage(report.usage, reply.usage);
    if (!reply.provider.empty())
        report.provider = reply.provider;
    if (!reply.model.empty())
        report.model = reply.model;
    if (!reply.error) {
        report.outcomes.push_back(reply.outcome);
        report.priced = report.priced && reply.priced;
        report_.priced = report_.priced && reply.priced;
    }
    if (unit.is_cancelled)
        return {.end = cancelled()};
    if (reply.error) {
        if (++unit.failures >= step.retry.attempts || !is_worth_another_try(reply))
            return {.end = std::unexpected(*std::move(reply.error))};
        if (parts_.listener != nullptr)
            parts_.listener->started(step, unit.item);
        return {.delay = step.retry.delay * (1LL << (unit.failures - 1))};
    }
    StepOutput output{.text = std::move(reply.text)};
    const auto fault = step.output_schema ? check_answer(step, output) : std::nullopt;
    if (!fault)
        return {.end = std::move(output)};
    if (unit.is_repaired || !fault->is_repairable)
        return {.end = fail(fault->code, fault->for_client)};
    unit.is_repaired = true;
    ++report.repairs;
    unit.body = make_repair_body(std::move(unit.body), output.text, fault->for_model);
    if (auto counted = count_body(unit); !counted)
        return {.end = std::unexpected(std::move(counted).error())};
    if (parts_.listener != nullptr)
        parts_.listener->started(step, unit.item);
    return {};
}

} // namespace larder::workflow
