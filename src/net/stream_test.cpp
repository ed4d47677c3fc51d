// Host and port from text; plain streams over a socket pair.
#include "net/stream.hpp"

#include "async/deadlines.hpp"
#include "testing/run_task.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace larder::net {
namespace {

using std::chrono::milliseconds;

TEST(ParseHostPort, TakesWhatIsWellFormed) {
    struct Row {
        const char* text;
        const char* host;
        int port;
    };
    for (const Row& row :
         {Row{"127.0.0.1:8080", "127.0.0.1", 8080}, Row{"localhost:0", "localhost", 0},
          Row{"[::1]:0", "::1", 0}, Row{"[::]:65535", "::", 65535}, Row{"a.b-c:1", "a.b-c", 1},
          Row{"host:007", "host", 7}}) {
        const auto parsed = parse_host_port(row.text);
        ASSERT_TRUE(parsed) << row.text;
        EXPECT_EQ(parsed->host, row.host) << row.text;
        EXPECT_EQ(parsed->port, row.port) << row.text;
    }
}

TEST(ParseHostPort, RefusesTheRestAndQuotesIt) {
    for (const char* text : {"", ":", "host", "host:", ":80", "[]:80", "::1:80", "[::1:80",
                             "::1]:80", "host:65536", "host:-1", "host:+1", "host: 1", "host:1 ",
                             "host:80x", "host:0x50", "a:b:1", "[::1]", "[::1]80"}) {
        const auto parsed = parse_host_port(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidRequest) << text;
        EXPECT_TRUE(parsed.error().message.contains("\"" + std::string(text) + "\""))
            << parsed.error().message;
    }
}

/// A plain stream on the runtime's thread and the raw other end.
class PlainStreamTest : public ::testing::Test {
protected:
    PlainStreamTest()
        : peer_(testing::RawConnection::to(listener_.address())), accepted_(listener_.accept()) {
        testing::run_there(runtime_.context(0), [this] {
            Socket socket(runtime_.context(0).get_executor());
            socket.assign(asio::ip::tcp::v4(), accepted_);
            socket.non_blocking(true);
            stream_ = make_plain_stream(std::move(socket));
            deadline_ = std::make_unique<async::Deadline>(async::Deadlines::of(runtime_.context(0)),
                                                          [this] { stream_->close(); });
        });
    }
    ~PlainStreamTest() override {
        testing::run_there(runtime_.context(0), [this] {
            deadline_.reset();
            stream_.reset();
        });
    }

    static Task<Result<void>> write(Stream& stream, std::vector<std::string> texts,
                                    async::Deadline& deadline, milliseconds without_progress) {
        std::vector<iovec> parts;
        for (std::string& text : texts)
            parts.push_back({text.data(), text.size()});
        co_return co_await stream.write_all(parts, deadline, without_progress);
    }
    std::future<Result<void>> start_write(std::vector<std::string> texts,
                                          milliseconds without_progress) {
        return testing::start(runtime_.context(0),
                              write(*stream_, std::move(texts), *deadline_, without_progress));
    }

    testing::RawListener listener_;
    testing::RawConnection peer_;
    int accepted_;
    async::Runtime runtime_{1};
    std::unique_ptr<Stream> stream_;
    std::unique_ptr<async::Deadline> deadline_;
};

TEST_F(PlainStreamTest, WritesAllPartsAlsoEmptyOnes) {
    auto written = start_write({"", "one", "", "two", ""}, milliseconds(10'000));
    EXPECT_TRUE(testing::finish(std::move(written)));
    EXPECT_EQ(peer_.read_exactly(6), "onetwo");
    EXPECT_TRUE(testing::finish(start_write({"", ""}, milliseconds(10'000))));
}

TEST_F(PlainStreamTest, WritesMoreThanTheKernelTakesAtOnce) {
    std::vector<std::string> texts;
    std::string all;
    for (char c = 'a'; c <= 'z'; ++c) {
        texts.emplace_back(700'001, c);
        all += texts.back();
    }
    auto written = start_write(texts, milliseconds(10'000));
    EXPECT_TRUE(peer_.read_exactly(all.size()) == all);
    EXPECT_TRUE(testing::finish(std::move(written)));
}

TEST_F(PlainStreamTest, GivesUpAPeerThatDoesNotRead) {
    auto written = start_write({std::string(64U << 20U, 'x')}, milliseconds(100));
    const auto result = testing::finish(std::move(written));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kTimeout);
}

TEST_F(PlainStreamTest, SeesThatThePeerHasGone) {
    auto written = start_write({std::string(64U << 20U, 'x')}, milliseconds(10'000));
    peer_.read_exactly(1000);
    peer_.reset();
    const auto result = testing::finish(std::move(written));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
}

TEST_F(PlainStreamTest, ReadsWhatThereIsAndTheEnd) {
    using Status = IoResult::Status;
    std::array<char, 16> buffer{};
    EXPECT_EQ(stream_->try_read(buffer.data(), buffer.size()).status, Status::kWantRead);
    peer_.send("abc");
    EXPECT_TRUE(testing::run(runtime_.context(0), stream_->wait_readable()));
    const IoResult step = stream_->try_read(buffer.data(), buffer.size());
    EXPECT_EQ(step.status, Status::kOk);
    EXPECT_EQ(std::string(buffer.data(), step.bytes), "abc");
    peer_.end_sending();
    EXPECT_TRUE(testing::run(runtime_.context(0), stream_->wait_readable()));
    EXPECT_EQ(stream_->try_read(buffer.data(), buffer.size()).status, Status::kEnd);
}

TEST_F(PlainStreamTest, EndsAWaitWhenItIsClosed) {
    auto waiting = testing::start(runtime_.context(0), stream_->wait_readable());
    testing::run_there(runtime_.context(0), [this] { stream_->close(); });
    const auto result = testing::finish(std::move(waiting));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(stream_->try_write({}).status, IoResult::Status::kError);
}

} // namespace
} // namespace larder::net
