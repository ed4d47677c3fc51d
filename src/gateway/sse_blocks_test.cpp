// Where blocks of a stream end, with each kind of line end and at every split.
#include "gateway/sse_blocks.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace larder::gateway {
namespace {

/// The blocks of `bytes` when they come in pieces that end at `split`, each in a fresh heap block.
std::vector<std::string> blocks_of(std::string_view bytes, std::size_t split) {
    std::vector<std::string> blocks;
    std::string pending;
    for (const std::string_view piece : {bytes.substr(0, split), bytes.substr(split)}) {
        pending += piece;
        while (true) {
            const auto fresh = std::make_unique<char[]>(pending.size());
            pending.copy(fresh.get(), pending.size());
            const std::size_t length = sse_block_length({fresh.get(), pending.size()});
            if (length == 0)
                break;
            blocks.push_back(pending.substr(0, length));
            pending.erase(0, length);
        }
    }
    blocks.push_back("rest:" + pending);
    return blocks;
}

void expect_at_every_split(std::string_view bytes, const std::vector<std::string>& expected) {
    for (std::size_t split = 0; split <= bytes.size(); ++split)
        EXPECT_EQ(blocks_of(bytes, split), expected) << "split at " << split;
}

TEST(SseBlocks, EndAtABlankLineOfLineFeeds) {
    expect_at_every_split("data: a\n\nevent: b\ndata: c\n\ndata: d\n",
                          {"data: a\n\n", "event: b\ndata: c\n\n", "rest:data: d\n"});
}

TEST(SseBlocks, EndAtABlankLineOfBoth) {
    expect_at_every_split("data: a\r\n\r\ndata: b\r\n\r\n",
                          {"data: a\r\n\r\n", "data: b\r\n\r\n", "rest:"});
}

TEST(SseBlocks, EndAtABlankLineOfCarriageReturns) {
    expect_at_every_split("data: a\r\rdata: b\r\rdata",
                          {"data: a\r\r", "data: b\r\r", "rest:data"});
}

TEST(SseBlocks, TakeMixedLineEnds) {
    expect_at_every_split("a\r\n\nb\n\r\nc\r\n\rd", {"a\r\n\n", "b\n\r\n", "c\r\n\r", "rest:d"});
}

TEST(SseBlocks, AreCommentsToo) {
    expect_at_every_split(": keep-alive\n\n:\n\ndata: a\n\n",
                          {": keep-alive\n\n", ":\n\n", "data: a\n\n", "rest:"});
}

TEST(SseBlocks, AreBlankLinesAtTheBeginning) {
    expect_at_every_split("\n\r\ndata: a\n\n", {"\n", "\r\n", "data: a\n\n", "rest:"});
}

TEST(SseBlocks, ACarriageReturnAtTheVeryEndDecidesNothing) {
    EXPECT_EQ(sse_block_length("data: a\n\r"), 0U);
    EXPECT_EQ(sse_block_length("data: a\n\r\n"), 10U);
    EXPECT_EQ(sse_block_length("data: a\n\rx"), 9U);
    EXPECT_EQ(sse_block_length(""), 0U);
    EXPECT_EQ(sse_block_length("\r"), 0U);
}

TEST(SseBlocks, LoseNoByteOfAStreamOfAnyBytes) {
    std::string bytes;
    for (int i = 0; i < 700; ++i)
        bytes += static_cast<char>((i * 37 + i / 7) % 256);
    for (std::size_t split = 0; split <= bytes.size(); ++split) {
        std::string joined;
        for (const std::string& block : blocks_of(bytes, split))
            joined += block.starts_with("rest:") ? block.substr(5) : block;
        ASSERT_EQ(joined, bytes) << "split at " << split;
    }
}

} // namespace
} // namespace larder::gateway
