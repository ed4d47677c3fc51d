// `larder serve` and `larder check`.
#include "app/commands.hpp"
#include "app/config.hpp"
#include "app/wiring.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace larder::app {
namespace {

log::Settings log_settings(const Config& config) {
    return {.level = static_cast<log::Level>(config.log_level),
            .format =
                config.log_format == LogFormat::kPretty ? log::Format::kPretty : log::Format::kJson,
            .fd = 1};
}

/// Before the log runs: in the form that the log would have on this output.
void report(const Environment& environment, const std::string& message) {
    const bool production = environment.variable("NODE_ENV").value_or("") == "production";
    log::start(
        {.level = log::Level::kInfo,
         .format = environment.terminal && !production ? log::Format::kPretty : log::Format::kJson,
         .fd = 1});
    for (const std::string_view one : text::split(message, '\n')) {
        if (!one.empty())
            log::write_now(log::Level::kFatal, one);
    }
    log::stop();
}

/// As many descriptors as the system lets us have.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void warn_all(const Config& config) {
    for (const std::string& warning : config.warnings)
        log::Line(log::Level::kWarn, warning);
}

Result<Config> load(const CommandLine& line, const Environment& environment) {
    LARDER_TRY(auto config, load_config_file(line.config, environment));
    if (line.listen)
        config.server.listen = *line.listen;
    // Clients must not use up what calls of providers and the store need.
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        const rlim_t most = std::max<rlim_t>(limit.rlim_cur / 2, 1);
        config.server.max_connections =
            static_cast<std::uint32_t>(std::min<rlim_t>(config.server.max_connections, most));
    }
    return config;
}

void reload(Larder& larder, const CommandLine& line, const Environment& environment) {
    auto config = load(line, environment);
    if (!config) {
        for (const std::string_view one : text::split(config.error().message, '\n'))
            log::Line(log::Level::kError, "the configuration was not taken over")
                .text("reason", one);
        return;
    }
    warn_all(*config);
    larder.reload(*std::move(config));
    log::Line(log::Level::kInfo, "the configuration was read again");
}

} // namespace

int run_serve(const CommandLine& line) {
    // Blocked before any thread begins, so that only the wait below takes them.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&signals, number);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN); // NOLINT: OpenSSL writes without MSG_NOSIGNAL
    raise_descriptor_limit();

    const Environment environment = system_environment();
    auto config = load(line, environment);
    if (!config) {
        report(environment, config.error().message);
        return 1;
    }
    log::start(log_settings(*config));
    warn_all(*config);
    int status = 0;
    {
        Larder larder(*std::move(config), environment);
        if (auto started = larder.start(); !started) {
            log::write_now(log::Level::kFatal, started.error().message);
            status = 1;
        } else {
            log::Line(log::Level::kInfo, "listening")
                .text("address", larder.address())
                .text("version", LARDER_VERSION);
            int signal = 0;
            while (sigwait(&signals, &signal) == 0 && signal == SIGHUP)
                reload(larder, line, environment);
            log::Line(log::Level::kInfo, "stopping")
                .text("signal", signal == SIGTERM ? "SIGTERM" : "SIGINT");
            larder.stop();
            log::Line(log::Level::kInfo, "stopped");
        }
    }
    log::stop();
    return status;
}

int run_check(const CommandLine& line) {
    const auto config = load(line, system_environment());
    if (!config) {
        std::fprintf(stderr, "%s\n", config.error().message.c_str());
        return 1;
    }
    for (const std::string& warning : config->warnings)
        std::printf("warning: %s\n", warning.c_str());
    std::printf("the configuration is good\n");
    return 0;
}

} // namespace larder::app
