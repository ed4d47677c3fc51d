// Estimates of usage where a provider sends none. Pure, any thread.
#include "llm/usage.hpp"

namespace larder::llm {

std::int64_t estimate_tokens(std::size_t text_bytes) {
    constexpr std::size_t kBytesPerToken = 4;
    return static_cast<std::int64_t>(text_bytes / kBytesPerToken +
                                     (text_bytes % kBytesPerToken != 0 ? 1 : 0));
}

} // namespace larder::llm
