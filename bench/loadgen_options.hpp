// bench/loadgen_options.hpp: the command line of larder-bench-load, read into one struct.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::bench {

constexpr std::string_view kUsage =
    R"(usage: larder-bench-load --port N [options]      (the server is on 127.0.0.1)
  --path /llm/generate     --method POST     --body FILE     --header "Name: value" (repeatable)
  --connections 32         kept alive, one request at a time on each
  --rate N                 open loop: N requests a second whatever the answers do, latency from the
                           planned moment; without it a closed loop: the next after the answer
  --duration SECONDS       --requests N      end after either
  --warmup SECONDS         leave out the latencies of the beginning
  --unique START           {{unique}} in the body becomes a number of 10 digits that grows by one
  --cycle N                the numbers begin anew after N of them
  --fresh-every N          only every Nth request has a new number, the others have START
  --contains TEXT          count the 200s whose body contains TEXT
)";

struct Options {
    std::uint16_t port = 0;
    std::string method = "POST";
    std::string path = "/llm/generate";
    std::string body;
    std::vector<std::string> headers;
    std::size_t connections = 32;
    double rate = 0;
    double duration_s = 0;
    std::uint64_t requests = 0;
    double warmup_s = 0;
    std::optional<std::uint64_t> unique;
    std::uint64_t cycle = UINT64_MAX;
    std::uint64_t fresh_every = 1;
    std::string contains;
};

inline bool read_whole_file(const char* path, std::string& text) {
    std::ifstream file(path, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(file), {});
    return file.good() || file.eof();
}

inline bool set_option(Options& options, std::string_view name, const char* value) {
    if (name == "--port") {
        options.port = static_cast<std::uint16_t>(std::strtoul(value, nullptr, 10));
    } else if (name == "--path") {
        options.path = value;
    } else if (name == "--method") {
        options.method = value;
    } else if (name == "--body") {
        return read_whole_file(value, options.body);
    } else if (name == "--header") {
        options.headers.emplace_back(value);
    } else if (name == "--connections") {
        options.connections = std::strtoul(value, nullptr, 10);
    } else if (name == "--rate") {
        options.rate = std::strtod(value, nullptr);
    } else if (name == "--duration") {
        options.duration_s = std::strtod(value, nullptr);
    } else if (name == "--requests") {
        options.requests = std::strtoull(value, nullptr, 10);
    } else if (name == "--warmup") {
        options.warmup_s = std::strtod(value, nullptr);
    } else if (name == "--unique") {
        options.unique = std::strtoull(value, nullptr, 10);
    } else if (name == "--cycle") {
        options.cycle = std::strtoull(value, nullptr, 10);
    } else if (name == "--fresh-every") {
        options.fresh_every = std::strtoull(value, nullptr, 10);
    } else if (name == "--contains") {
        options.contains = value;
    } else {
        return false;
    }
    return true;
}

/// Nothing when the command line is wrong.
inline std::optional<Options> read_options(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; i += 2) {
        if (i + 1 >= count || !set_option(options, arguments[i], arguments[i + 1])) {
            std::fprintf(stderr, "larder-bench-load: %s\n", arguments[i]);
            return std::nullopt;
        }
    }
    const bool bounded = options.duration_s > 0 || options.requests > 0;
    const bool numbered = options.cycle > 0 && options.fresh_every > 0;
    if (options.port == 0 || options.connections == 0 || !bounded || !numbered ||
        options.rate < 0) {
        return std::nullopt;
    }
    return options;
}

} // namespace larder::bench
