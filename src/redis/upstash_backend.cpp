// Makes the client of Upstash from its settings.
#include "redis/backends.hpp"
#include "redis/upstash.hpp"

#include <algorithm>

namespace larder::redis {

Result<std::unique_ptr<Client>> make_upstash_client(async::Runtime& runtime,
                                                    UpstashSettings settings) {
    auto base = http::parse_base_url(settings.url);
    if (!base) // its message has the whole URL, in which a token may stand
        return fail(ErrorCode::kInvalidRequest,
                    "the URL of Upstash is no http:// or https:// URL with a host");
    const bool is_token =
        !settings.token.empty() &&
        std::ranges::all_of(settings.token, [](char c) { return c > ' ' && c < 0x7F; });
    if (!is_token)
        return fail(ErrorCode::kInvalidRequest,
                    "the token of Upstash is empty or has characters that no token has");
    auto shared = std::make_shared<upstash::Shared>(std::move(settings.on_health));
    shared->base = std::move(*base);
    shared->proxy = std::move(settings.proxy);
    shared->head_lines = "Authorization: Bearer " + settings.token +
                         "\r\nContent-Type: application/json\r\nUpstash-Encoding: base64\r\n";
    return std::make_unique<UpstashClient>(runtime, std::move(shared));
}

} // namespace larder::redis
