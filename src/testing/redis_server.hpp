// A real redis-server of a test: on a free loopback port, in a temporary directory, without
// persistence. It dies with the test program.
#pragma once

#include "testing/tcp.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder::testing {

/// A port that was free a moment ago.
inline std::uint16_t free_port() {
    return RawListener().port();
}

/// A program of a test, whose output goes into a file. Killed by its destructor, and by the end of
/// the test program.
class ChildProgram {
public:
    ChildProgram(const std::vector<std::string>& words, const std::string& output) {
        std::vector<char*> arguments;
        for (const std::string& word : words)
            arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent)
                ::_exit(1);
            const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                    0600); // NOLINT: variadic by nature
            ::dup2(file, 1);
            ::dup2(file, 2);
            ::execvp(arguments[0], arguments.data());
            ::_exit(127);
        }
        if (pid_ < 0)
            std::abort();
    }
    ~ChildProgram() { kill(); }
    ChildProgram(const ChildProgram&) = delete;
    ChildProgram& operator=(const ChildProgram&) = delete;
    void signal(int number) const { ::kill(pid_, number); }
    void kill() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        ::waitpid(std::exchange(pid_, 0), nullptr, 0);
    }
    /// Whether it has ended by itself.
    [[nodiscard]] bool has_ended() {
        if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_)
            pid_ = 0;
        return pid_ <= 0;
    }

private:
    pid_t pid_ = 0;
};

class RedisServer {
public:
    /// `extra`: more of its command line, such as {"--requirepass", "secret"}.
    explicit RedisServer(std::vector<std::string> extra = {}) : extra_(std::move(extra)) {
        std::string directory = (std::filesystem::temp_directory_path() / "redis-XXXXXX").string();
        if (::mkdtemp(directory.data()) == nullptr)
            std::abort();
        directory_ = directory;
        // Another program may take the port in between: then another one.
        for (int i = 0; i < 20; ++i) {
            port_ = free_port();
            if (try_start())
                return;
        }
        give_up("does not start");
    }
    ~RedisServer() {
        program_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
    [[nodiscard]] const std::string& directory() const { return directory_; }
    /// Used by `cli` and while it starts.
    void log_in_as(std::string user, std::string password) {
        user_ = std::move(user);
        password_ = std::move(password);
    }

    void kill() { program_.reset(); }
    /// Accepts connections (the system does) and answers nothing.
    void pause() const { program_->signal(SIGSTOP); }
    void resume() const { program_->signal(SIGCONT); }
    /// On the same port, empty.
    void start() {
        for (int i = 0; i < 20; ++i) {
            if (try_start())
                return;
        }
        give_up("does not start again");
    }
    void restart() {
        kill();
        start();
    }

    /// Runs one command through redis-cli and gives its output without the last line's end.
    std::string cli(const std::vector<std::string>& arguments) const {
        std::string command = "redis-cli -h 127.0.0.1 -p " + std::to_string(port_);
        if (!password_.empty())
            command += " --no-auth-warning -a " + quoted(password_);
        if (!user_.empty())
            command += " --user " + quoted(user_);
        for (const std::string& argument : arguments)
            command += " " + quoted(argument);
        command += " 2>&1";
        std::string output;
        std::FILE* const pipe = ::popen(command.c_str(), "re"); // NOLINT: the test's own command
        if (pipe == nullptr)
            std::abort();
        char buffer[4096]; // NOLINT: written before it is read
        for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
            output.append(buffer, n);
        ::pclose(pipe);
        while (output.ends_with('\n'))
            output.pop_back();
        return output;
    }

private:
    static std::string quoted(const std::string& word) {
        std::string text = "'";
        for (const char c : word)
            text += c == '\'' ? std::string("'\\''") : std::string(1, c);
        return text + "'";
    }

    bool try_start() {
        std::vector<std::string> words{
            "redis-server", "--bind", "127.0.0.1", "--port",   std::to_string(port_), "--save", "",
            "--appendonly", "no",     "--dir",     directory_, "--daemonize",         "no"};
        words.insert(words.end(), extra_.begin(), extra_.end());
        program_ = std::make_unique<ChildProgram>(words, directory_ + "/log");
        const auto patience = std::chrono::steady_clock::now() + kPatience;
        while (std::chrono::steady_clock::now() < patience) {
            if (program_->has_ended())
                return false;
            const std::string answer = answer_to_ping();
            if (answer.starts_with("+PONG") || answer.starts_with("-NOAUTH") ||
                answer.starts_with("-NOPERM") || answer.starts_with("-MASTERDOWN"))
                return !program_->has_ended();
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        return false;
    }

    [[nodiscard]] std::string answer_to_ping() const {
        const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        RawConnection connection(descriptor);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port_);
        if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            return "";
        connection.send("PING\r\n");
        return connection.read_until("\r\n");
    }

    [[noreturn]] void give_up(const char* what) const {
        std::fprintf(stderr, "redis-server %s; its log is in %s\n", what, directory_.c_str());
        std::abort();
    }

    std::vector<std::string> extra_;
    std::string directory_;
    std::string user_;
    std::string password_;
    std::uint16_t port_ = 0;
    std::unique_ptr<ChildProgram> program_;
};

} // namespace larder::testing
