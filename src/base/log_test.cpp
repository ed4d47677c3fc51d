// Log lines: their form, what is escaped and hidden, and that none is lost or mixed.
#include "base/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace larder::log {
namespace {

/// A file without a name that the log writes to.
class Output {
public:
    Output() {
        std::string path = ::testing::TempDir() + "larder_log_XXXXXX";
        fd_ = ::mkstemp(path.data());
        ::unlink(path.c_str());
    }
    ~Output() { ::close(fd_); }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] std::string text() const {
        struct stat status{};
        ::fstat(fd_, &status);
        std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
        const ssize_t count = ::pread(fd_, bytes.data(), bytes.size(), 0);
        EXPECT_EQ(count, static_cast<ssize_t>(bytes.size()));
        return bytes;
    }
    [[nodiscard]] std::vector<std::string> lines() const {
        std::vector<std::string> lines;
        const std::string all = text();
        std::size_t at = 0;
        for (std::size_t end = all.find('\n'); end != std::string::npos; end = all.find('\n', at)) {
            lines.push_back(all.substr(at, end - at));
            at = end + 1;
        }
        EXPECT_EQ(at, all.size()) << "the last line has no end";
        return lines;
    }

private:
    int fd_ = -1;
};

/// Sends stderr elsewhere while it lives.
class StderrTo {
public:
    explicit StderrTo(int fd) : saved_(::dup(STDERR_FILENO)) { ::dup2(fd, STDERR_FILENO); }
    ~StderrTo() {
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
    }
    StderrTo(const StderrTo&) = delete;
    StderrTo& operator=(const StderrTo&) = delete;

private:
    int saved_;
};

/// What `make` logs, as one run of the log writes it.
template <class Make> std::vector<std::string> logged(Make make, Settings settings = {}) {
    const Output output;
    settings.fd = output.fd();
    start(settings);
    make();
    stop();
    return output.lines();
}

/// The part of a JSON line after the message.
std::string fields_of(const std::string& line) {
    const std::size_t at = line.find("\"msg\":\"m\"");
    EXPECT_NE(at, std::string::npos) << line;
    return line.substr(at + 9);
}

template <class Add> std::string field(Add add) {
    const auto lines = logged([&] {
        Line line(Level::kInfo, "m");
        add(line);
    });
    EXPECT_EQ(lines.size(), 1U);
    return lines.empty() ? "" : fields_of(lines[0]);
}

TEST(Log, WritesPinosForm) {
    const auto lines = logged([] {
        Line(Level::kInfo, "request")
            .text("reqId", "r-1")
            .number("status", 200)
            .real("ratio", 0.5)
            .milliseconds("ms", 1250)
            .flag("hit", true);
    });
    ASSERT_EQ(lines.size(), 1U);
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    const std::string expected_end =
        ",\"pid\":" + std::to_string(::getpid()) + ",\"hostname\":\"" + name +
        "\",\"msg\":\"request\",\"reqId\":\"r-1\",\"status\":200,\"ratio\":0.5,\"ms\":1.25,"
        "\"hit\":true}";
    EXPECT_TRUE(lines[0].starts_with("{\"level\":30,\"time\":1")) << lines[0];
    EXPECT_TRUE(lines[0].ends_with(expected_end)) << lines[0];
    EXPECT_EQ(lines[0].size(), 19 + 13 + expected_end.size());
}

TEST(Log, WritesReadableLines) {
    const auto lines = logged(
        [] {
            Line(Level::kWarn, "two words")
                .text("plain", "a/b")
                .text("spaced", "a b")
                .text("empty", "")
                .text("equals", "a=b")
                .number("n", -5)
                .flag("f", false)
                .text("cookie", "c");
        },
        {.format = Format::kPretty});
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0].substr(24),
              " WARN  two words plain=a/b spaced=\"a b\" empty=\"\" equals=\"a=b\" n=-5 f=false "
              "cookie=[redacted]");
    EXPECT_EQ(lines[0][10], 'T');
    EXPECT_EQ(lines[0][23], 'Z');
}

TEST(Log, KnowsAllLevels) {
    const auto lines = logged(
        [] {
            for (const Level level : {Level::kTrace, Level::kDebug, Level::kInfo, Level::kWarn,
                                      Level::kError, Level::kFatal})
                Line(level, "m");
        },
        {.level = Level::kTrace});
    ASSERT_EQ(lines.size(), 6U);
    for (std::size_t i = 0; i < 6; ++i)
        EXPECT_TRUE(lines[i].starts_with("{\"level\":" + std::to_string(10 * (i + 1)) + ","));
}

TEST(Log, LeavesOutWhatIsBelowItsLevelAndFollowsAChange) {
    const auto lines = logged(
        [] {
            EXPECT_FALSE(enabled(Level::kInfo));
            EXPECT_TRUE(enabled(Level::kWarn));
            Line(Level::kInfo, "no").text("a", "b").number("c", 1);
            Line(Level::kWarn, "yes");
            set_level(Level::kInfo);
            Line(Level::kInfo, "now");
        },
        {.level = Level::kWarn});
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_NE(lines[0].find("yes"), std::string::npos);
    EXPECT_NE(lines[1].find("now"), std::string::npos);
}

TEST(Log, EscapesQuotesControlsAndTerminalCodes) {
    using namespace std::string_view_literals;
    EXPECT_EQ(field([](Line& line) { line.text("a", "\"\\\n\r\t\x1b[31m\0\x7f"sv); }),
              R"(,"a":"\"\\\n\r\t\u001b[31m\u0000\u007f"})");
    EXPECT_EQ(field([](Line& line) {
                  line.text("a", "x\xc2\x9b"
                                 "31m\xc2\xa0y");
              }),
              ",\"a\":\"x\\u009b31m\xc2\xa0y\"}");
}

TEST(Log, KeepsGoodUtf8AndReplacesBrokenBytes) {
    EXPECT_EQ(field([](Line& line) { line.text("a", "\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80"); }),
              ",\"a\":\"\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80\"}");
    for (const char* broken : {"\x80", "\xff", "\xc3", "\xc0\x61", "\xe4\xbd", "\xf0\x9f\x98"}) {
        const std::string shown =
            field([&](Line& line) { line.text("a", std::string("<") + broken); });
        EXPECT_TRUE(shown.starts_with(",\"a\":\"<\xef\xbf\xbd")) << shown;
    }
    // Overlong, a surrogate, beyond U+10FFFF: a replacement for each byte.
    for (const char* broken : {"\xe0\x80\x80", "\xed\xa0\x80"})
        EXPECT_EQ(field([&](Line& line) { line.text("a", broken); }),
                  ",\"a\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
    EXPECT_EQ(field([](Line& line) { line.text("a", "\xf4\x90\x80\x80"); }),
              ",\"a\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
}

TEST(Log, EveryByteInAMessageAndAValueStaysOneJsonLine) {
    std::string all;
    for (int code = 0; code < 256; ++code)
        all += static_cast<char>(code);
    for (const Format format : {Format::kJson, Format::kPretty}) {
        const auto lines =
            logged([&] { Line(Level::kInfo, all).text("a", all); }, {.format = format});
        EXPECT_EQ(lines.size(), 1U);
        for (const char c : lines.at(0))
            EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
}

TEST(Log, WritesNumbersExactly) {
    EXPECT_EQ(field([](Line& line) {
                  line.number("a", std::numeric_limits<std::int64_t>::min())
                      .number("b", std::numeric_limits<std::int64_t>::max())
                      .real("c", 1e-7)
                      .real("d", std::numeric_limits<double>::infinity())
                      .real("e", std::numeric_limits<double>::quiet_NaN());
              }),
              ",\"a\":-9223372036854775808,\"b\":9223372036854775807,\"c\":1e-07,\"d\":null,"
              "\"e\":null}");
}

TEST(Log, ShowsMicrosecondsAsMilliseconds) {
    EXPECT_EQ(field([](Line& line) {
                  line.milliseconds("a", 0)
                      .milliseconds("b", 1)
                      .milliseconds("c", 50)
                      .milliseconds("d", 1000)
                      .milliseconds("e", 12345)
                      .milliseconds("f", -1500)
                      .milliseconds("g", 100)
                      .milliseconds("h", std::numeric_limits<std::int64_t>::min());
              }),
              ",\"a\":0,\"b\":0.001,\"c\":0.05,\"d\":1,\"e\":12.345,\"f\":-1.5,\"g\":0.1,"
              "\"h\":-9223372036854775.807}");
}

TEST(Log, NeverShowsASecret) {
    const auto lines = logged([] {
        Line(Level::kInfo, "m")
            .text("authorization", "sesame")
            .text("Authorization", "sesame")
            .text("x-api-key", "sesame")
            .text("api_key", "sesame")
            .text("apiKey", "sesame")
            .text("cookie", "sesame")
            .text("Set-Cookie", "sesame")
            .text("password", "sesame")
            .text("prompt", "sesame");
    });
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0].find("sesame"), std::string::npos) << lines[0];
    EXPECT_NE(lines[0].find("\"x-api-key\":\"[redacted]\""), std::string::npos) << lines[0];
}

TEST(Log, HidesByTheWholeNameOnly) {
    EXPECT_TRUE(is_secret("X_API_KEY"));
    EXPECT_TRUE(is_secret("proxy-authorization"));
    EXPECT_FALSE(is_secret("tokens"));
    EXPECT_FALSE(is_secret("input_tokens"));
    EXPECT_FALSE(is_secret("keyed"));
    EXPECT_FALSE(is_secret("ke"));
    EXPECT_FALSE(is_secret(""));
    EXPECT_FALSE(is_secret("-"));
}

TEST(Log, CutsALongTextBetweenCharacters) {
    std::string text(4095, 'a');
    text += "\xc3\xa9 and more";
    const std::string shown = field([&](Line& line) { line.text("a", text); });
    EXPECT_EQ(shown, ",\"a\":\"" + std::string(4095, 'a') + "\xe2\x80\xa6\"}");
    const std::string fits(4096, 'b');
    EXPECT_EQ(field([&](Line& line) { line.text("a", fits); }), ",\"a\":\"" + fits + "\"}");
}

TEST(Log, BoundsALineAndKeepsItWhole) {
    const auto lines = logged([] {
        Line line(Level::kInfo, "m");
        for (int i = 0; i < 1000; ++i)
            line.text("a", std::string(1000, '\n')).number("n", i).flag("f", true);
    });
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_LT(lines[0].size(), 32U * 1024U);
    EXPECT_TRUE(lines[0].ends_with("}"));
}

TEST(Log, KeepsALineWithinALineApart) {
    const auto lines = logged([] {
        Line outer(Level::kInfo, "outer");
        outer.text("a", "b");
        Line(Level::kInfo, "inner").text("c", std::string(100, 'd'));
        outer.text("e", "f");
    });
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_TRUE(lines[0].ends_with("\"msg\":\"inner\",\"c\":\"" + std::string(100, 'd') + "\"}"));
    EXPECT_TRUE(lines[1].ends_with("\"msg\":\"outer\",\"a\":\"b\",\"e\":\"f\"}"));
}

TEST(Log, WritesEverythingOfManyThreadsWithoutMixing) {
    constexpr int kThreads = 8;
    constexpr int kLines = 2000;
    const auto lines = logged([] {
        std::vector<std::thread> threads;
        for (int thread = 0; thread < kThreads; ++thread)
            threads.emplace_back([thread] {
                for (int i = 0; i < kLines; ++i)
                    Line(i % 100 == 0 ? Level::kWarn : Level::kInfo, "m")
                        .number("thread", thread)
                        .number("i", i)
                        .text("pad", std::string(static_cast<std::size_t>(i % 60), 'p'));
            });
        for (std::thread& thread : threads)
            thread.join(); // their buffers outlive them
    });
    ASSERT_EQ(lines.size(), static_cast<std::size_t>(kThreads * kLines));
    std::array<int, kThreads> next{};
    for (const std::string& line : lines) {
        const std::string fields = fields_of(line);
        int thread = -1;
        int i = -1;
        ASSERT_EQ(std::sscanf(fields.c_str(), ",\"thread\":%d,\"i\":%d,", &thread, &i), 2) << line;
        ASSERT_EQ(i, next.at(static_cast<std::size_t>(thread))++) << "out of order";
        ASSERT_TRUE(line.ends_with("\"pad\":\"" +
                                   std::string(static_cast<std::size_t>(i % 60), 'p') + "\"}"));
    }
}

TEST(Log, LosesNoLineWhenItStopsUnderWay) {
    const Output after_stop;
    const StderrTo redirected(after_stop.fd());
    const Output output;
    const std::uint64_t dropped_before = dropped_lines();
    start({.fd = output.fd()});
    std::atomic<bool> ends = false;
    std::atomic<std::size_t> made = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            while (!ends) {
                Line(Level::kInfo, "m").text("a", "b");
                ++made;
            }
        });
    while (made < 1000)
        std::this_thread::yield();
    stop();
    const std::size_t at_stop = made;
    while (made < at_stop + 100)
        std::this_thread::yield();
    ends = true;
    for (std::thread& thread : threads)
        thread.join();
    // On a busy machine a buffer may fill up: what is dropped is counted.
    const auto count = [](const std::vector<std::string>& lines) {
        return static_cast<std::size_t>(std::ranges::count_if(
            lines, [](const std::string& line) { return line.contains("\"msg\":\"m\""); }));
    };
    EXPECT_EQ(count(output.lines()) + count(after_stop.lines()) + dropped_lines() - dropped_before,
              made);
}

TEST(Log, GoesToStderrAtOnceBeforeItStartsAndAfterItStopped) {
    const Output direct;
    const Output output;
    {
        const StderrTo redirected(direct.fd());
        Line(Level::kInfo, "before");
        EXPECT_EQ(direct.lines().size(), 1U);
        start({.fd = output.fd()});
        Line(Level::kInfo, "during");
        stop();
        write_now(Level::kInfo, "after");
        stop(); // a second time is nothing
    }
    ASSERT_EQ(direct.lines().size(), 2U);
    EXPECT_NE(direct.lines()[0].find("\"msg\":\"before\""), std::string::npos);
    EXPECT_NE(direct.lines()[1].find("\"msg\":\"after\""), std::string::npos);
    ASSERT_EQ(output.lines().size(), 1U);
}

TEST(Log, HasWrittenWhatWasLoggedBeforeWriteNowReturns) {
    const Output output;
    start({.fd = output.fd()});
    Line(Level::kInfo, "first");
    write_now(Level::kFatal, "last");
    const auto lines = output.lines();
    stop();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_NE(lines[0].find("first"), std::string::npos);
    EXPECT_NE(lines[1].find("last"), std::string::npos);
}

TEST(Log, CanStartAgain) {
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(logged([] { Line(Level::kInfo, "m"); }).size(), 1U);
}

/// A pipe; its reader takes nothing until drain().
class Pipe {
public:
    Pipe() { EXPECT_EQ(::pipe(ends_.data()), 0); }
    ~Pipe() {
        close_reader();
        close_writer();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    [[nodiscard]] int writer() const { return ends_[1]; }
    void close_reader() { close(ends_[0]); }
    void close_writer() { close(ends_[1]); }
    /// Reads on a thread of its own until the writer is closed.
    std::thread drain(std::string& into) {
        return std::thread([fd = ends_[0], &into] {
            char bytes[65536];
            for (ssize_t count = ::read(fd, bytes, sizeof bytes); count > 0;
                 count = ::read(fd, bytes, sizeof bytes))
                into.append(bytes, static_cast<std::size_t>(count));
        });
    }

private:
    static void close(int& fd) {
        if (fd >= 0)
            ::close(fd);
        fd = -1;
    }
    std::array<int, 2> ends_{};
};

TEST(Log, DropsAndCountsWhenTheReaderIsStuckAndSaysSoLater) {
    Pipe pipe;
    start({.fd = pipe.writer()});
    const std::uint64_t before = dropped_lines();
    const std::string pad(1000, 'p');
    std::uint64_t made = 0;
    while (dropped_lines() == before && made < 100'000) {
        Line(Level::kInfo, "m").text("pad", pad);
        ++made;
    }
    const std::uint64_t dropped = dropped_lines() - before;
    EXPECT_EQ(dropped, 1U);
    EXPECT_LT(made, 5000U) << "more than a few megabytes were kept";
    std::string read;
    std::thread reader = pipe.drain(read);
    stop();
    pipe.close_writer();
    reader.join();
    EXPECT_NE(read.find("log lines were dropped"), std::string::npos);
    EXPECT_NE(read.find("\"count\":1}"), std::string::npos);
    EXPECT_EQ(static_cast<std::uint64_t>(std::count(read.begin(), read.end(), '\n')),
              made - dropped + 1);
    EXPECT_TRUE(read.ends_with("}\n"));
}

TEST(Log, CountsLinesThatTheOutputRefuses) {
    const int full = ::open("/dev/full", O_WRONLY);
    ASSERT_GE(full, 0);
    const std::uint64_t before = dropped_lines();
    start({.fd = full});
    Line(Level::kInfo, "one");
    Line(Level::kInfo, "two");
    EXPECT_TRUE(flush(std::chrono::seconds(60)));
    stop();
    ::close(full);
    EXPECT_EQ(dropped_lines() - before, 2U);
}

TEST(Log, WritesToADescriptorThatDoesNotBlock) {
    Pipe pipe;
    ::fcntl(pipe.writer(), F_SETFL, O_NONBLOCK);
    start({.fd = pipe.writer()});
    for (int i = 0; i < 500; ++i)
        Line(Level::kInfo, "m").text("pad", std::string(1000, 'p')); // more than a pipe holds
    std::string read;
    std::thread reader = pipe.drain(read);
    stop();
    pipe.close_writer();
    reader.join();
    EXPECT_EQ(std::count(read.begin(), read.end(), '\n'), 500);
}

/// Logs when its thread ends, after the log's own part of the thread is gone.
struct LogsAtTheEnd {
    ~LogsAtTheEnd() { Line(Level::kInfo, "the end"); }
};

TEST(Log, TakesALineFromTheDestructorsOfAThread) {
    const Output direct;
    const StderrTo redirected(direct.fd());
    const auto lines = logged([] {
        std::thread([] {
            thread_local LogsAtTheEnd last; // made first, so destroyed last
            (void)last;
            Line(Level::kInfo, "m");
        }).join();
    });
    EXPECT_EQ(lines.size() + direct.lines().size(), 2U);
}

} // namespace
} // namespace larder::log
