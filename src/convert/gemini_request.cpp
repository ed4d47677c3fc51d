// Gemini's generateContent, written from a conversation; and the /llm dialect, read as one.
#include "convert/conversation.hpp"

namespace larder::convert {

Result<Conversation> read_llm(protocol::Cursor) {
    return fail(ErrorCode::kInvalidRequest, "not served yet");
}

Result<std::string> write_gemini(const Conversation&, std::string_view) {
    return fail(ErrorCode::kInvalidRequest, "not served yet");
}

} // namespace larder::convert
