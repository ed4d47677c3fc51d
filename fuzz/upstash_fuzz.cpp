// Fuzzes the wire of Upstash: whatever an answer is, it is read or refused; and a command that can
// be written is read back as it was.
#include "base/json.hpp"
#include "redis/upstash_wire.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace larder::redis;

constexpr int kStatuses[] = {200, 400, 401, 429, 500, 502, 404, 413};

void check_answer(std::string_view text, int status) {
    using upstash::Shape;
    for (const Shape shape : {Shape::kOne, Shape::kPipeline, Shape::kTransaction}) {
        for (const std::size_t count : {1, 2}) {
            const auto verdict = upstash::judge(
                {.status = status, .body = std::string(text), .retry_after = std::string(text)},
                shape, count);
            if (verdict.kind == upstash::Verdict::Kind::kReplies)
                LARDER_ASSERT(verdict.replies.size() == (shape == Shape::kOne ? 1 : count));
            else
                LARDER_ASSERT(!verdict.error.message.empty());
        }
    }
}

void check_command(std::string_view text) {
    std::string body = "[";
    const bool written = upstash::add_command(body, Command("SET").key("k").arg(text)).has_value();
    LARDER_ASSERT(written == upstash::is_utf8(text));
    body += ']';
    const auto document = larder::json::parse(body);
    LARDER_ASSERT(document && document->root().size() == (written ? 1 : 0));
    document->root().for_each_element([text](larder::json::Value command) {
        std::string last;
        command.for_each_element([&last](larder::json::Value element) {
            last = element.as_string().value_or("no string");
            return true;
        });
        LARDER_ASSERT(last == text);
        return true;
    });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_command(text);
    if (text.empty())
        return 0;
    check_answer(text.substr(1), kStatuses[data[0] % std::size(kStatuses)]);
    return 0;
}
