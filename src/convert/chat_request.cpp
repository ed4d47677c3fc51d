// OpenAI's chat completions, read and written as a conversation.
#include "convert/conversation.hpp"

namespace larder::convert {

Result<Conversation> read_chat(protocol::Cursor) {
    return fail(ErrorCode::kInvalidRequest, "not served yet");
}

Result<std::string> write_chat(const Conversation&, std::string_view) {
    return fail(ErrorCode::kInvalidRequest, "not served yet");
}

} // namespace larder::convert
