// Answers written for clients of chat.
#include "convert/reply.hpp"

namespace larder::convert {

std::string write_chat_reply(const Reply&) {
    return {};
}

std::unique_ptr<DeltaWriter> make_chat_writer(bool) {
    return nullptr;
}

} // namespace larder::convert
