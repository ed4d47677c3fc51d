// The program: larder serve | check | demo | --version. Exit status 0: done; 1: an error at start;
// 2: wrong usage.
#include "app/commands.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>

int main(int argc, char** argv) {
    CLI::App program("A gateway between applications and language models, that remembers.",
                     "larder");
    program.set_version_flag("--version", "larder " LARDER_VERSION);
    program.require_subcommand(1);
    larder::app::CommandLine line;
    auto* serve = program.add_subcommand(
        "serve", "serve until SIGTERM or SIGINT; SIGHUP reads the configuration again");
    serve->add_option("--config", line.config,
                      "the configuration file (default: larder.yaml, where there is one)");
    serve->add_option("--listen", line.listen, "host:port, instead of server.listen");
    auto* check =
        program.add_subcommand("check", "say what is wrong with the configuration, with the line");
    check->add_option("--config", line.config,
                      "the configuration file (default: larder.yaml, where there is one)");
    auto* demo = program.add_subcommand(
        "demo", "the main job on a provider of its own, with no key and no network");
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return program.exit(error) == 0 ? 0 : 2;
    }
    if (serve->parsed())
        return larder::app::run_serve(line);
    if (check->parsed())
        return larder::app::run_check(line);
    return demo->parsed() ? larder::app::run_demo() : 2;
}
