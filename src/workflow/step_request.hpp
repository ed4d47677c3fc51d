// What a step asks of a model, as a body of the /llm dialect, and what its answer is worth. Pure.
#pragma once

#include "gateway/completion.hpp"
#include "workflow/definition.hpp"
#include "workflow/scope.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace larder::workflow {

struct StepRequestBounds {
    std::size_t prompt_bytes = 0;
    bool stream = false;
};

/// kUnprocessable with the reason: a reference that leads nowhere, a prompt over its bound.
Result<std::string> make_step_body(const Step& step, const Scope& scope,
                                   const StepRequestBounds& bounds);

/// The same conversation with the answer and what is wrong with it. `body` is one that
/// `make_step_body` made.
std::string make_repair_body(std::string body, std::string_view answer, std::string_view reason);

/// What is wrong with an answer.
struct AnswerFault {
    std::string for_model;  // in full
    std::string for_client; // where it is wrong, but nothing of the answer
    /// kUnprocessable: no answer helps against it.
    ErrorCode code = ErrorCode::kProviderUnreadable;
    bool is_repairable = true;
};
/// Holds the answer to the step's schema; `output` has its JSON then, and its text is the JSON's
/// own. nullopt: it is valid.
std::optional<AnswerFault> check_answer(const Step& step, StepOutput& output);

/// The detail of a completion's error: its answer is longer than it may be.
inline constexpr std::string_view kAnswerTooLarge = "answer_too_large";
/// Whether the same call may well succeed a moment later.
bool is_worth_another_try(const gateway::CompletionReply& reply);

} // namespace larder::workflow
