// larder-replay: the recorded provider as a program of its own.
#include "async/runtime.hpp"
#include "base/text.hpp"
#include "replay/replay_server.hpp"

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view kUsage =
    "usage: larder-replay [--listen 127.0.0.1:0] [--recordings FILE] [--first-token 20ms]\n"
    "                     [--tokens-per-second 50] [--threads 1] [--port-file FILE]\n";

struct Arguments {
    larder::replay::ReplaySettings settings;
    std::size_t threads = 1;
    std::string port_file; // gets the address once it listens
};

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0)
        return std::nullopt;
    return value;
}

bool take(Arguments& arguments, std::string_view name, std::string_view value) {
    if (name == "--listen") {
        arguments.settings.listen = value;
    } else if (name == "--recordings") {
        arguments.settings.recordings = value;
    } else if (name == "--port-file") {
        arguments.port_file = value;
    } else if (name == "--first-token") {
        const auto duration = larder::text::parse_duration(value);
        if (!duration)
            return false;
        arguments.settings.first_token = *duration;
    } else if (name == "--tokens-per-second" || name == "--threads") {
        const auto number = parse_number(value);
        if (!number)
            return false;
        if (name == "--threads" && (*number < 1 || *number > 256))
            return false;
        if (name == "--threads")
            arguments.threads = static_cast<std::size_t>(*number);
        else
            arguments.settings.tokens_per_second = *number;
    } else {
        return false;
    }
    return true;
}

std::optional<Arguments> read_arguments(std::span<char*> words) {
    Arguments arguments;
    for (std::size_t i = 1; i < words.size(); i += 2)
        if (i + 1 >= words.size() || !take(arguments, words[i], words[i + 1]))
            return std::nullopt;
    return arguments;
}

/// Whole or not at all: readers wait for the file to appear.
bool write_port_file(const std::string& path, const std::string& address) {
    const std::string unfinished = path + ".new";
    {
        std::ofstream file(unfinished);
        file << address << "\n";
        if (!file.flush())
            return false;
    }
    return std::rename(unfinished.c_str(), path.c_str()) == 0;
}

} // namespace

int main(int count, char** words) {
    const auto arguments = read_arguments({words, static_cast<std::size_t>(count)});
    if (!arguments) {
        std::fputs(kUsage.data(), stderr);
        return 2;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr); // before the threads begin, which inherit it
    std::signal(SIGPIPE, SIG_IGN);

    larder::async::Runtime runtime(arguments->threads);
    larder::replay::ReplayServer server(runtime, arguments->settings);
    if (auto started = server.start(); !started) {
        std::fprintf(stderr, "larder-replay: %s\n", started.error().message.c_str());
        return 1;
    }
    std::printf("larder-replay: %zu exchanges, listening on %s\n", server.exchanges(),
                server.address().c_str());
    std::fflush(stdout);
    if (!arguments->port_file.empty() && !write_port_file(arguments->port_file, server.address())) {
        std::fprintf(stderr, "larder-replay: %s can't be written\n", arguments->port_file.c_str());
        return 1;
    }
    int signal_number = 0;
    sigwait(&signals, &signal_number);
    server.stop();
    return 0;
}
