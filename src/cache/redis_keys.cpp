// The names of the cache's keys in Redis.
#include "cache/redis_keys.hpp"

#include "base/result.hpp"
#include "base/text.hpp"

namespace larder::cache {
namespace {

std::string_view bytes_of(const llm::Fingerprint& key) {
    return {reinterpret_cast<const char*>(key.data()), key.size()};
}

} // namespace

RedisKeys::RedisKeys(std::string_view prefix) : entry_prefix_(prefix) {
    LARDER_ASSERT(prefix.find_first_of("{}") == std::string_view::npos);
    entry_prefix_ += ":{";
    const std::string shared = "{" + std::string(prefix) + "}:";
    purges_ = shared + "purges";
    purges_version_ = shared + "purges:version";
    news_ = shared + "news";
}

std::string RedisKeys::entry(const llm::Fingerprint& key) const {
    constexpr std::size_t kRest = 128; // what the longest of the names adds
    std::string name;
    name.reserve(entry_prefix_.size() + kRest);
    name += entry_prefix_;
    name += text::base64url(bytes_of(key));
    name += '}';
    return name;
}

std::string RedisKeys::lease(const llm::Fingerprint& key) const {
    return entry(key) + ":lease";
}

std::string RedisKeys::relay(const llm::Fingerprint& key, std::string_view token) const {
    return entry(key).append(":relay:").append(token);
}

} // namespace larder::cache
