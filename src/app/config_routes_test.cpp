// Routes of the file: what they become, and every mistake with its line.
#include "app/config.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace larder::app {
namespace {

using provider::Route;
using provider::RouteMode;
using provider::RouteTarget;
using provider::Sticky;

/// Two lines before what is given.
constexpr std::string_view kProviders =
    "providers: { openai: {}, anthropic: {}, second: { api: openai, base_url: 'http://h', models: "
    "[own, gpt-4o] } }\n"
    "models: { fast: { provider: openai, model: gpt-4o-mini } }\n";

Result<Config> read(const std::string& yaml) {
    return read_config(std::string(kProviders) + yaml, "f",
                       {.variable = [](std::string_view name) -> std::optional<std::string> {
                           return name == "SECRET" ? std::optional<std::string>("hunter2")
                                                   : std::nullopt;
                       }});
}

Config good(const std::string& yaml) {
    auto config = read(yaml);
    if (config)
        return *std::move(config);
    ADD_FAILURE() << yaml << "\n" << config.error().message;
    return {};
}

std::string mistakes(const std::string& yaml) {
    const auto config = read(yaml);
    return config ? "none" : config.error().message;
}

/// One route in one line, the file's third.
std::string route_yaml(const std::string& inside) {
    return "routes: { smart: { " + inside + " } }\n";
}

std::string named(const RouteTarget& target) {
    return target.route.empty() ? target.provider + " " + target.model : "> " + target.route;
}

TEST(ConfigRoutes, AreReadWholeAndResolved) {
    const Config config =
        good("routes:\n"
             "  smart:\n"
             "    mode: fallback\n"
             "    targets:\n"
             "      - gpt-4.1\n"
             "      - fast\n"
             "      - second/own\n"
             "      - { model: anthropic/claude-sonnet-4-5, deployment: sonnet,"
             " first_byte_timeout: 1s, retries: 0 }\n"
             "      - { model: gpt-4.1, provider: openai }\n"
             "      - { route: cheap }\n"
             "      - shared\n"
             "    on: [429, 5xx, 401-403, 4xx, timeout]\n"
             "    first_byte_timeout: 10s\n"
             "  cheap: { mode: cheapest, targets: [gpt-4o-mini, claude-haiku-4-5] }\n"
             "  shared:\n"
             "    mode: load-balance\n"
             "    sticky: session\n"
             "    targets: [{ model: openai/gpt-4o, weight: 7 }, { model: own, weight: 3 }]\n");
    ASSERT_EQ(config.catalog.routes.size(), 3U);
    const Route& smart = config.catalog.routes[0];
    EXPECT_EQ(smart.name, "smart");
    EXPECT_EQ(smart.mode, RouteMode::kFallback);
    EXPECT_EQ(smart.sticky, Sticky::kNone);
    EXPECT_EQ(smart.first_byte_timeout, std::chrono::seconds(10));
    std::vector<std::string> targets;
    std::ranges::transform(smart.targets, std::back_inserter(targets), named);
    EXPECT_EQ(targets, (std::vector<std::string>{"openai gpt-4.1", "openai gpt-4o-mini",
                                                 "second own", "anthropic claude-sonnet-4-5",
                                                 "openai gpt-4.1", "> cheap", "> shared"}));
    EXPECT_EQ(smart.targets[0].first_byte_timeout, std::nullopt);
    EXPECT_EQ(smart.targets[0].retries, std::nullopt);
    EXPECT_EQ(smart.targets[3].deployment, "sonnet");
    EXPECT_EQ(smart.targets[3].first_byte_timeout, std::chrono::seconds(1));
    EXPECT_EQ(smart.targets[3].retries, 0);
    const Route& shared = config.catalog.routes[2];
    EXPECT_EQ(shared.mode, RouteMode::kLoadBalance);
    EXPECT_EQ(shared.sticky, Sticky::kSession);
    EXPECT_EQ(shared.targets[0].weight, 7U);
    EXPECT_EQ(shared.targets[1].weight, 3U);
    EXPECT_EQ(shared.first_byte_timeout, std::nullopt);
}

TEST(ConfigRoutes, GoOnAfterWhatIsListedAndByDefaultAfterEveryFailure) {
    using Ranges = std::vector<std::pair<int, int>>;
    const auto failures = [](const std::string& on) {
        Config config = good(route_yaml("mode: fallback, targets: [gpt-4o, fast]" + on));
        return config.catalog.routes.at(0).on;
    };
    const provider::FailurePolicy by_default = failures("");
    EXPECT_EQ(by_default.statuses, (Ranges{{408, 408}, {429, 429}, {500, 599}}));
    EXPECT_TRUE(by_default.connection && by_default.timeout && by_default.unreadable &&
                by_default.unconfigured);
    const auto same = failures(", on: [408, 429, 5xx, connection, timeout, unreadable, "
                               "unconfigured]");
    EXPECT_EQ(same.statuses, by_default.statuses);
    EXPECT_TRUE(same.connection && same.timeout && same.unreadable && same.unconfigured);
    const auto few = failures(", on: ['429', 500-503, 4xx, connection]");
    EXPECT_EQ(few.statuses, (Ranges{{429, 429}, {500, 503}, {400, 499}}));
    EXPECT_TRUE(few.connection);
    EXPECT_FALSE(few.timeout || few.unreadable || few.unconfigured);
    EXPECT_TRUE(failures(", on: [timeout]").statuses.empty());
}

TEST(ConfigRoutes, TakeEachModeAndStickiness) {
    for (const std::string_view mode :
         {"single-model", "fallback", "load-balance", "fastest", "cheapest"}) {
        const Config config =
            good(route_yaml("mode: " + std::string(mode) + ", targets: [gpt-4o, fast]"));
        EXPECT_EQ(provider::name_of(config.catalog.routes.at(0).mode), mode);
    }
    const Config user = good(route_yaml("mode: load-balance, sticky: user, targets: [gpt-4o]"));
    EXPECT_EQ(user.catalog.routes.at(0).sticky, Sticky::kUser);
    good(route_yaml("mode: fastest, sticky: none, targets: [gpt-4o]"));
}

TEST(ConfigRoutes, MayBeTheDefaultModel) {
    const Config config = good(route_yaml("mode: fallback, targets: [anthropic/claude-x, gpt-4o]") +
                               "default_model: smart\n");
    const auto target = config.catalog.resolve("", "");
    ASSERT_TRUE(target) << target.error().message;
    EXPECT_EQ(target->model, "claude-x");
    const std::string broken = mistakes(route_yaml("mode: fallback, targets: [nothing-like-it]") +
                                        "default_model: smart\n");
    EXPECT_EQ(broken.find("default_model"), std::string::npos) << broken;
}

TEST(ConfigRoutes, MayTakeTheNameOfAModelTheyLeadTo) {
    const Config config = good("routes: { gpt-4.1: { mode: fallback, targets: [{ model: gpt-4.1 }, "
                               "openai/gpt-4.1] } }");
    EXPECT_EQ(named(config.catalog.routes.at(0).targets.at(0)), "openai gpt-4.1");
    EXPECT_EQ(named(config.catalog.routes.at(0).targets.at(1)), "openai gpt-4.1");
    EXPECT_EQ(mistakes("routes: { gpt-4.1: { mode: fallback, targets: [gpt-4.1] } }"),
              "f:3: routes.gpt-4.1: a circle of routes: gpt-4.1 > gpt-4.1");
}

TEST(ConfigRoutes, AreRefusedWithTheirLineWhereOneIsWrongInItself) {
    const std::string long_list = [] {
        std::string list = "gpt-4o";
        for (int i = 1; i < 33; ++i)
            list += ", gpt-4o";
        return list;
    }();
    const std::pair<std::string, std::string> table[] = {
        {"targets: [gpt-4o]", ": needs mode"},
        {"mode: fallback", ": needs targets"},
        {"mode: best, targets: [gpt-4o]", ".mode: 'best' is not known; known are single-model, "},
        {"mode: fallback, targets: []", ".targets: must list 1 to 32 targets"},
        {"mode: fallback, targets: ", ".targets: must list 1 to 32 targets"},
        {"mode: fallback, targets: [" + long_list + "]", ".targets: must list 1 to 32 targets"},
        {"mode: fallback, targets: gpt-4o", ".targets: must be a list"},
        {"mode: fallback, targets: ['']", ".targets[0]: must not be empty"},
        {"mode: fallback, targets: [4]", ".targets[0]: must be text; put '4' in quotes"},
        {"mode: fallback, targets: [[gpt-4o]]", ".targets[0]: must be a map, not a list"},
        {"mode: fallback, targets: [{ model: '' }]", ".targets[0].model: must not be empty"},
        {"mode: fallback, targets: [{}]", ".targets[0]: needs model or route"},
        {"mode: fallback, targets: [{ provider: openai }]", ".targets[0]: needs model or route"},
        {"mode: fallback, targets: [{ model: gpt-4o, route: b }]",
         ".targets[0]: model and route exclude each other"},
        {"mode: fallback, targets: [gpt-4o, { route: b, provider: openai }]",
         ".targets[1]: provider has no meaning beside route"},
        {"mode: fallback, targets: [{ route: b, deployment: d }]",
         ".targets[0]: deployment has no meaning beside route"},
        {"mode: fallback, targets: [{ route: b, retries: 1 }]",
         ".targets[0]: retries has no meaning beside route"},
        {"mode: fallback, targets: [{ modle: gpt-4o }]",
         ".targets[0].modle: unknown key; did you mean routes.smart.targets[0].model?"},
        {"mode: load-balance, targets: [{ model: gpt-4o, weight: 0 }]",
         ".targets[0].weight: must be from 1 to 1000"},
        {"mode: load-balance, targets: [{ model: gpt-4o, weight: 1001 }]",
         ".targets[0].weight: must be from 1 to 1000"},
        {"mode: fastest, targets: [{ model: gpt-4o, weight: 1 }]",
         ".targets[0].weight: has no meaning without mode: load-balance"},
        {"mode: fallback, targets: [gpt-4o], sticky: session",
         ".sticky: has no meaning without mode: load-balance"},
        {"mode: load-balance, targets: [gpt-4o], sticky: always", ".sticky: 'always' is not known"},
        {"mode: fallback, targets: [{ model: gpt-4o, retries: 11 }]",
         ".targets[0].retries: must be from 0 to 10"},
        {"mode: fallback, targets: [{ model: gpt-4o, first_byte_timeout: 0 }]",
         ".targets[0].first_byte_timeout: must be from 1ms"},
        {"mode: fallback, targets: [gpt-4o], first_byte_timeout: soon",
         ".first_byte_timeout: must be a duration"},
        {"mode: fallback, targets: [{ model: gpt-4o, deployment: 'a b' }]",
         ".targets[0].deployment: must have 1 to 64 letters"},
        {"mode: fallback, targets: [gpt-4o], on: []", ".on: an empty list"},
        {"mode: fallback, targets: [gpt-4o], on: 429", ".on: must be a list"},
    };
    for (const auto& [inside, expected] : table) {
        const std::string message = mistakes(route_yaml(inside));
        EXPECT_NE(message.find("f:3: routes.smart" + expected), std::string::npos) << inside << "\n"
                                                                                   << message;
    }
}

TEST(ConfigRoutes, TakeNoFailuresThatThereAreNot) {
    for (const std::string_view item :
         {"399", "600", "42", "4290", "5xy", "6xx", "500-", "-500", "503-500", "500-600", "399-404",
          "500-503-504", "+500", "Timeout", "everything", "''", "4.5e2", "500 - 503", "0429"}) {
        const std::string message = mistakes(
            route_yaml("mode: fallback, targets: [gpt-4o], on: [429, " + std::string(item) + "]"));
        EXPECT_TRUE(
            message.starts_with("f:3: routes.smart.on[1]: must be a status from 400 to 599"))
            << item << "\n"
            << message;
    }
}

TEST(ConfigRoutes, HaveNamesOfTheirOwn) {
    const std::pair<std::string_view, std::string_view> table[] = {
        {"fast", "is the name of a model under models too"},
        {"own", "is the name of a model of the provider second too"},
        {"fallback", "is the name of a mode"},
        {"single-model", "is the name of a mode"},
        {"a/b", "a route's name has up to 64"},
        {"'a b'", "a route's name has up to 64"},
        {"''", "a route's name has up to 64"},
        {"\u00fcber", "a route's name has up to 64"}};
    for (const auto& [name, expected] : table) {
        const std::string message = mistakes("routes:\n  " + std::string(name) +
                                             ": { mode: fallback, targets: [gpt-4.1] }");
        EXPECT_TRUE(message.starts_with("f:4: routes")) << message;
        EXPECT_NE(message.find(expected), std::string::npos) << message;
    }
    const auto of_length = [](std::size_t length) {
        return "routes: { " + std::string(length, 'a') + ": { mode: fallback, targets: [fast] } }";
    };
    good(of_length(64));
    EXPECT_NE(mistakes(of_length(65)), "none");
    good("routes: { 'Aa0-_.:z': { mode: fallback, targets: [fast] } }");
}

TEST(ConfigRoutes, LeadToModelsAndRoutesThatThereAre) {
    const std::pair<std::string, std::string> table[] = {
        {"llama9", "no provider takes the model 'llama9'; configured: openai, anthropic, second; "
                   "nor is there such a route"},
        {"second/other", "the provider 'second' does not take the model 'other'"},
        {"{ model: gpt-4o, provider: azure }", "the provider 'azure' is not configured; "},
        {"{ model: other, provider: second }", "the provider 'second' does not take the model"},
        {"{ route: cheap }", "there is no such route as 'cheap'"},
        {"{ route: gpt-4o }", "there is no such route as 'gpt-4o'"},
        {"{ model: smart }", "'smart' is a route: name it by route, not by model"}};
    for (const auto& [target, expected] : table) {
        const std::string message = mistakes(
            "routes:\n  smart:\n    mode: fallback\n    targets:\n      - gpt-4o\n      - " +
            target + "\n");
        EXPECT_TRUE(message.starts_with("f:8: routes.smart.targets[1]: " + expected)) << message;
    }
}

TEST(ConfigRoutes, ShowNothingOfAVariableThatNamesATarget) {
    for (const auto* target : {"'${SECRET}'", "{ model: '${SECRET}' }", "{ route: '${SECRET}' }",
                               "{ model: a, provider: '${SECRET}' }"}) {
        const std::string message =
            mistakes(route_yaml("mode: fallback, targets: [" + std::string(target) + "]"));
        EXPECT_TRUE(message.starts_with("f:3: routes.smart.targets[0]")) << message;
        EXPECT_EQ(message.find("hunter2"), std::string::npos) << message;
    }
}

TEST(ConfigRoutes, GoInNoCircle) {
    const std::string above = "  above: { mode: fallback, targets: [a] }\n";
    const std::string three = "  a: { mode: fallback, targets: [gpt-4o, below, b] }\n"
                              "  b: { mode: fallback, targets: [{ route: c }] }\n"
                              "  c: { mode: fallback, targets: [gpt-4o, a] }\n"
                              "  below: { mode: fallback, targets: [fast] }\n";
    EXPECT_EQ(mistakes("routes:\n" + above + three),
              "f:5: routes.a: a circle of routes: a > b > c > a");
    EXPECT_EQ(mistakes("routes:\n" + three + above + "  x: { mode: fallback, targets: [x] }\n"),
              "f:4: routes.a: a circle of routes: a > b > c > a\n"
              "f:9: routes.x: a circle of routes: x > x");
}

/// r0 has the models, and each further one the one before it.
std::string chain(std::size_t length, const std::string& first, const std::string& each) {
    std::string yaml = "routes:\n  r0: { mode: fallback, targets: [" + first + "] }\n";
    for (std::size_t i = 1; i < length; ++i) {
        const std::string below = "r" + std::to_string(i - 1);
        yaml += "  r" + std::to_string(i) + ": { mode: fallback, targets: [" + below;
        yaml += (each.empty() ? "" : ", " + each) + "] }\n";
    }
    return yaml;
}

TEST(ConfigRoutes, NestSoDeepAndNoDeeper) {
    good(chain(8, "gpt-4o", ""));
    EXPECT_EQ(mistakes(chain(9, "gpt-4o", "")), "f:12: routes.r8: nests deeper than 8 routes");
    const std::string all = mistakes(chain(200, "gpt-4o", ""));
    EXPECT_EQ(all, "f:12: routes.r8: nests deeper than 8 routes"); // of the lowest one only
    EXPECT_NE(mistakes(chain(300, "gpt-4o", "")).find("f:3: routes: must be at most 256 routes"),
              std::string::npos);
}

TEST(ConfigRoutes, HaveSoManyModelsAndNoMore) {
    const std::string most = chain(4, "gpt-4o, fast, own, claude-x", "r0, r0, r0, r0, r0");
    good(most); // 4 + 3 * 20
    EXPECT_EQ(mistakes(most + "  top: { mode: fallback, targets: [fast, r3] }\n"
                              "  over: { mode: fallback, targets: [top, top] }\n"),
              "f:8: routes.top: has more than 64 models with those of the routes below it");
}

TEST(ConfigRoutes, ShareADeploymentsAnswersOnlyWithinOneApi) {
    const std::string first = "routes:\n"
                              "  a:\n"
                              "    mode: load-balance\n"
                              "    targets:\n"
                              "      - { model: openai/gpt-4o, deployment: four }\n";
    good(first + "      - { model: second/gpt-4o, deployment: four }\n");
    const std::string expected = "speaks another API than the target of its deployment on line 7";
    const std::string other = "{ model: claude-x, deployment: four }";
    const std::string within = mistakes(first + "      - " + other + "\n");
    EXPECT_TRUE(within.starts_with("f:8: routes.a.targets[1]: " + expected)) << within;
    const std::string beside =
        mistakes(first + "  b: { mode: fallback, targets: [" + other + "] }\n");
    EXPECT_TRUE(beside.starts_with("f:8: routes.b.targets[0]: " + expected)) << beside;
}

TEST(ConfigRoutes, BalanceOverTargetsThatDiffer) {
    const std::string message = mistakes("routes:\n"
                                         "  a:\n"
                                         "    mode: load-balance\n"
                                         "    targets:\n"
                                         "      - fast\n"
                                         "      - second/gpt-4o\n"
                                         "      - { model: openai/gpt-4o-mini, weight: 2 }\n");
    EXPECT_EQ(message, "f:9: routes.a.targets[2]: the same as the target on line 7; give that one "
                       "more weight");
    EXPECT_NE(mistakes("routes:\n"
                       "  a: { mode: load-balance, targets: [b, { route: b }] }\n"
                       "  b: { mode: fallback, targets: [gpt-4o, gpt-4o] }\n")
                  .find("f:4: routes.a.targets[1]: the same as"),
              std::string::npos);
}

TEST(ConfigRoutes, SurviveEveryPrefixOfAFile) {
    const std::string whole = "routes:\n"
                              "  smart: { mode: load-balance, sticky: user, on: [429, 500-503], "
                              "targets: [gpt-4o, { model: own, weight: 2, deployment: d }, "
                              "{ route: other }] }\n"
                              "  other: { mode: fallback, targets: [smart, fast] }\n";
    for (std::size_t length = 0; length <= whole.size(); ++length) {
        const auto config = read(whole.substr(0, length));
        EXPECT_TRUE(config || !config.error().message.empty()) << length;
    }
    EXPECT_NE(mistakes(whole).find("a circle of routes: smart > other > smart"), std::string::npos);
}

} // namespace
} // namespace larder::app
