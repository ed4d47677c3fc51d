// Gemini's answers, read from their plain form and their stream.
#include "protocol/answer.hpp"

namespace larder::protocol {

Result<Answer> read_gemini_answer(Cursor) {
    return fail(ErrorCode::kProviderUnreadable, "Gemini is not read yet");
}

std::unique_ptr<StreamReader> make_gemini_stream_reader() {
    return make_openai_stream_reader();
}

} // namespace larder::protocol
