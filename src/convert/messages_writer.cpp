// Answers written for clients of messages.
#include "convert/reply.hpp"

namespace larder::convert {

std::string write_messages_reply(const Reply&) {
    return {};
}

std::unique_ptr<DeltaWriter> make_messages_writer() {
    return nullptr;
}

} // namespace larder::convert
