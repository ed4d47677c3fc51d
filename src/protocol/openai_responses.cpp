// OpenAI's responses, read from their plain form and their stream.
#include "protocol/answer.hpp"

namespace larder::protocol {

Result<Answer> read_responses_answer(Cursor) {
    return fail(ErrorCode::kProviderUnreadable, "responses are not read yet");
}

Result<std::string> responses_plain_to_stream(Cursor) {
    return fail(ErrorCode::kProviderUnreadable, "responses are not read yet");
}

std::unique_ptr<StreamReader> make_responses_stream_reader() {
    return make_openai_stream_reader();
}

} // namespace larder::protocol
