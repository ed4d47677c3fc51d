#include "redis/script.hpp"

#include "base/hash.hpp"

namespace larder::redis {
namespace {

Script::Text text_of(std::string body) {
    std::string sha1 = sha1_hex(body);
    return {.body = std::move(body), .sha1 = std::move(sha1)};
}

} // namespace

Script::Script(std::string_view body)
    : plain_(text_of(std::string(body))),
      flagged_(text_of("#!lua flags=allow-key-locking\n" + std::string(body))) {}

} // namespace larder::redis
