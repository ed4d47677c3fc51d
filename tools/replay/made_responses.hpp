// Made-up answers of OpenAI's responses, plain and as its typed events. Pure, any thread.
#pragma once

#include "replay/answer.hpp"

#include <string>

namespace larder::replay {

/// A finish that isn't empty makes it incomplete for that reason.
std::string plain_responses_answer(const AnswerOptions& options);
std::string stream_responses_answer(const AnswerOptions& options);

} // namespace larder::replay
