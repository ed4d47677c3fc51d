// Answers of chat, read as what they mean.
#include "convert/reply.hpp"

namespace larder::convert {

Result<Reply> read_chat_reply(protocol::Cursor) {
    return fail(ErrorCode::kProviderUnreadable, "not served yet");
}

std::unique_ptr<DeltaReader> make_chat_reader() {
    return nullptr;
}

} // namespace larder::convert
