// Answers of gemini, read as what they mean.
#include "convert/reply.hpp"

namespace larder::convert {

Result<Reply> read_gemini_reply(protocol::Cursor) {
    return fail(ErrorCode::kProviderUnreadable, "not served yet");
}

std::unique_ptr<DeltaReader> make_gemini_reader() {
    return nullptr;
}

} // namespace larder::convert
