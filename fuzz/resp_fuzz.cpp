// Fuzzes the parser of Redis' answers: whatever comes and wherever it is cut, the replies are the
// same.
#include "redis/resp.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace {

using larder::redis::Reply;
using larder::redis::ReplyParser;

struct Parsed {
    std::vector<Reply> replies;
    bool failed = false;
};

void feed(ReplyParser& parser, std::string_view input, Parsed& parsed) {
    while (!parsed.failed) {
        Reply reply;
        const auto whole = parser.feed(input, reply);
        parsed.failed = !whole;
        if (!whole || !*whole)
            return;
        parsed.replies.push_back(std::move(reply));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t cut = text.size() * data[0] / 255;
    constexpr larder::redis::ReplyLimits kLimits{.depth = 5, .items = 1000, .bytes = 1'000'000};

    ReplyParser whole(kLimits);
    Parsed expected;
    feed(whole, text, expected);

    ReplyParser halves(kLimits);
    Parsed parsed;
    feed(halves, text.substr(0, cut), parsed);
    feed(halves, text.substr(cut), parsed);

    LARDER_ASSERT(parsed.failed == expected.failed);
    LARDER_ASSERT(parsed.replies == expected.replies);
    LARDER_ASSERT(parsed.failed || whole.at_boundary() == halves.at_boundary());
    return 0;
}
