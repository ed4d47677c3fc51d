// TLS between two ends of a loopback connection; files that can't be used; closed descriptors.
#include "net/tls.hpp"

#include "async/deadlines.hpp"
#include "testing/certificate.hpp"
#include "testing/run_task.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>

#include <array>
#include <csignal>
#include <fstream>
#include <memory>
#include <string>

namespace larder::net {
namespace {

using std::chrono::milliseconds;
using Status = IoResult::Status;

/// One end: a stream and the deadline that closes it.
struct End {
    End(asio::io_context& context, int descriptor, std::shared_ptr<TlsContext> tls,
        const std::string& host)
        : stream(make_tls_stream(adopt(context, descriptor), std::move(tls), host)),
          deadline(async::Deadlines::of(context), [this] { stream->close(); }) {}

    static Socket adopt(asio::io_context& context, int descriptor) {
        Socket socket(context.get_executor());
        socket.assign(asio::ip::tcp::v4(), descriptor);
        socket.non_blocking(true);
        return socket;
    }

    std::unique_ptr<TlsStream> stream;
    async::Deadline deadline;
};

Task<Result<void>> shake(End& end) {
    co_return co_await end.stream->handshake(end.deadline, milliseconds(10'000));
}

Task<Result<std::string>> receive(End& end, std::size_t size) {
    std::string bytes;
    std::array<char, 1000> buffer{};
    while (bytes.size() < size) {
        const IoResult step = end.stream->try_read(buffer.data(), buffer.size());
        if (step.status == Status::kOk)
            bytes.append(buffer.data(), step.bytes);
        else if (step.status != Status::kWantRead)
            co_return fail(ErrorCode::kCancelled, "ended after " + std::to_string(bytes.size()));
        else if (auto ready = co_await end.stream->wait_readable(); !ready)
            co_return std::unexpected(std::move(ready).error());
    }
    co_return bytes;
}

Task<Result<void>> send(End& end, std::string text) {
    const std::array parts{iovec{text.data(), text.size() / 3},
                           iovec{text.data() + text.size() / 3, text.size() - text.size() / 3}};
    co_return co_await end.stream->write_all(parts, end.deadline, milliseconds(10'000));
}

class TlsTest : public ::testing::Test {
protected:
    TlsTest() {
        std::signal(SIGPIPE, SIG_IGN); // NOLINT: as the server does
        tls_server_ = TlsContext::make_server(certificate_.certificate(), certificate_.key());
        tls_client_ = TlsContext::make_client();
    }
    ~TlsTest() override {
        testing::run_there(context(), [this] {
            client_.reset();
            server_.reset();
        });
    }
    [[nodiscard]] asio::io_context& context() { return runtime_.context(0); }

    void connect(const std::string& host) {
        ASSERT_TRUE(tls_server_) << tls_server_.error().message;
        ASSERT_TRUE(tls_client_) << tls_client_.error().message;
        auto raw = testing::RawConnection::to(listener_.address());
        const int client = ::dup(raw.descriptor());
        const int server = listener_.accept();
        testing::run_there(context(), [&] {
            client_ = std::make_unique<End>(context(), client, *tls_client_, host);
            server_ = std::make_unique<End>(context(), server, *tls_server_, "");
        });
    }
    /// Both handshakes; gives the client's.
    Result<void> shake_hands() {
        auto server = testing::start(context(), shake(*server_));
        auto client = testing::run(context(), shake(*client_));
        if (!client)
            testing::run_there(context(), [this] { client_->stream->close(); });
        server_shook_ = testing::finish(std::move(server)).has_value();
        return client;
    }

    testing::TestCertificate certificate_;
    testing::RawListener listener_;
    async::Runtime runtime_{1};
    Result<std::shared_ptr<TlsContext>> tls_server_;
    Result<std::shared_ptr<TlsContext>> tls_client_;
    std::unique_ptr<End> client_;
    std::unique_ptr<End> server_;
    bool server_shook_ = false;
};

TEST_F(TlsTest, ShakesHandsAndMovesBytesBothWays) {
    for (const char* host : {"localhost", "127.0.0.1"}) {
        connect(host);
        const auto shook = shake_hands();
        ASSERT_TRUE(shook) << shook.error().message;
        EXPECT_TRUE(server_shook_);
        std::string text;
        for (int i = 0; text.size() < 3'000'000; ++i)
            text += std::to_string(i);
        for (auto [from, to] : {std::pair(&*client_, &*server_), std::pair(&*server_, &*client_)}) {
            auto sent = testing::start(context(), send(*from, text));
            const auto received = testing::run(context(), receive(*to, text.size()));
            ASSERT_TRUE(received);
            EXPECT_TRUE(*received == text);
            EXPECT_TRUE(testing::finish(std::move(sent)));
        }
    }
}

TEST_F(TlsTest, RefusesACertificateForAnotherHost) {
    for (const char* host : {"other.test", "127.0.0.2", "localhost.test"}) {
        connect(host);
        const auto shook = shake_hands();
        ASSERT_FALSE(shook) << host;
        EXPECT_EQ(shook.error().code, ErrorCode::kProviderUnavailable);
        EXPECT_TRUE(shook.error().message.contains("mismatch")) << shook.error().message;
    }
}

TEST_F(TlsTest, RefusesACertificateThatNobodyVouchesFor) {
    const testing::TestCertificate other; // now this one is the authority
    tls_client_ = TlsContext::make_client();
    connect("localhost");
    const auto shook = shake_hands();
    ASSERT_FALSE(shook);
    EXPECT_TRUE(shook.error().message.contains("self-signed")) << shook.error().message;
}

TEST_F(TlsTest, RefusesAHostThatItCannotVerify) {
    connect("fe80::1%1"); // an address with a zone is in no certificate
    const auto shook = shake_hands();
    ASSERT_FALSE(shook);
    EXPECT_TRUE(shook.error().message.contains("can't verify")) << shook.error().message;
}

TEST_F(TlsTest, TellsAnOrderedEndFromACut) {
    std::array<char, 16> buffer{};
    for (const bool ordered : {true, false}) {
        connect("localhost");
        ASSERT_TRUE(shake_hands());
        testing::run_there(context(), [&] {
            if (ordered)
                server_->stream->shut_down();
            server_->stream->close();
        });
        Status last = Status::kWantRead;
        while (last == Status::kWantRead || last == Status::kOk) {
            testing::run_there(context(), [&] {
                last = client_->stream->try_read(buffer.data(), buffer.size()).status;
            });
        }
        EXPECT_EQ(last, ordered ? Status::kEnd : Status::kError);
    }
}

TEST_F(TlsTest, LeavesADescriptorAloneThatIsNotItsOwnAnyMore) {
    connect("localhost");
    ASSERT_TRUE(shake_hands());
    testing::run_there(context(), [this] {
        const int number = server_->stream->socket().native_handle();
        server_->stream->close();
        std::array<int, 2> pair{};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
        const int theirs = ::fcntl(pair[0], F_DUPFD, 500); // clear of `number`
        const int peer = ::fcntl(pair[1], F_DUPFD, 500);
        ::close(pair[0]);
        ::close(pair[1]);
        ASSERT_EQ(::dup2(theirs, number), number); // another connection gets the number
        ASSERT_EQ(::send(peer, "not yours", 9, 0), 9);
        std::array<char, 16> buffer{};
        std::string text = "secret";
        const std::array parts{iovec{text.data(), text.size()}};
        EXPECT_EQ(server_->stream->try_read(buffer.data(), buffer.size()).status, Status::kError);
        EXPECT_EQ(server_->stream->try_write(parts).status, Status::kError);
        server_->stream->shut_down();
        EXPECT_EQ(::recv(peer, buffer.data(), buffer.size(), MSG_DONTWAIT), -1);
        EXPECT_EQ(::recv(number, buffer.data(), buffer.size(), MSG_DONTWAIT), 9);
        for (const int descriptor : {theirs, peer, number})
            ::close(descriptor);
    });
}

TEST_F(TlsTest, GivesUpAHandshakeThatDoesNotEnd) {
    connect("localhost");
    const auto shook =
        testing::run(context(), client_->stream->handshake(client_->deadline, milliseconds(100)));
    ASSERT_FALSE(shook);
    EXPECT_EQ(shook.error().code, ErrorCode::kTimeout);
}

TEST_F(TlsTest, NamesTheFileThatItCannotUse) {
    const std::string garbage = certificate_.directory() + "/garbage.pem";
    std::ofstream(garbage) << "no certificate\n";
    const std::string missing = certificate_.directory() + "/missing.pem";
    for (const std::string& bad : {garbage, missing}) {
        auto made = TlsContext::make_server(bad, certificate_.key());
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().code, ErrorCode::kInvalidRequest);
        EXPECT_TRUE(made.error().message.contains(bad)) << made.error().message;
        made = TlsContext::make_server(certificate_.certificate(), bad);
        ASSERT_FALSE(made);
        EXPECT_TRUE(made.error().message.contains(bad)) << made.error().message;
    }
}

TEST_F(TlsTest, RefusesAKeyOfAnotherCertificate) {
    const testing::TestCertificate other;
    const auto made = TlsContext::make_server(certificate_.certificate(), other.key());
    ASSERT_FALSE(made);
    EXPECT_TRUE(made.error().message.contains("key")) << made.error().message;
}

} // namespace
} // namespace larder::net
