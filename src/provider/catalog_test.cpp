// Tests of the contract's "Which provider", rule by rule.
#include "provider/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::provider {
namespace {

using testing::HasSubstr;

Provider make_provider(std::string name, std::vector<std::string> models = {},
                       std::string vendor = {}) {
    Provider provider;
    provider.name = std::move(name);
    provider.models = std::move(models);
    provider.vendor = std::move(vendor);
    if (provider.name.starts_with("anthropic"))
        provider.dialect = protocol::Dialect::kAnthropicMessages;
    return provider;
}

Catalog make_catalog(std::vector<Provider> providers) {
    Catalog catalog;
    catalog.providers = std::move(providers);
    EXPECT_TRUE(catalog.prices.load(llm::built_in_prices()));
    return catalog;
}

Catalog usual_catalog() {
    Catalog catalog = make_catalog({make_provider("openai"), make_provider("anthropic"),
                                    make_provider("local", {"llama3.2", "meta/llama", "gpt-oss"})});
    catalog.aliases["fast"] = {.provider = "openai", .model = "gpt-4o-mini"};
    return catalog;
}

/// "provider: model", or the error's code and message.
std::string resolved(const Catalog& catalog, std::string_view provider, std::string_view model) {
    const auto target = catalog.resolve(provider, model);
    if (target)
        return target->provider->name + ": " + target->model;
    const char* const kind = target.error().code == ErrorCode::kModelNotFound    ? "404 "
                             : target.error().code == ErrorCode::kInvalidRequest ? "400 "
                                                                                 : "??? ";
    return kind + target.error().field + ": " + target.error().message;
}

TEST(Catalog, TakesTheProviderThatIsNamed) {
    const Catalog catalog = usual_catalog();
    EXPECT_EQ(resolved(catalog, "anthropic", "gpt-4o"), "anthropic: gpt-4o");
    EXPECT_EQ(resolved(catalog, "local", "llama3.2"), "local: llama3.2");
    EXPECT_EQ(resolved(catalog, "openai", "anything"), "openai: anything");
}

TEST(Catalog, TakesNoProviderForAVendorBecauseItSpeaksItsApi) {
    const Catalog catalog = make_catalog({make_provider("local"), make_provider("anthropic-like")});
    for (const char* model : {"gpt-4o", "o3-mini", "claude-sonnet-4-5", "text-embedding-3-small"})
        EXPECT_THAT(resolved(catalog, {}, model), HasSubstr("404 model: no provider takes"));
    EXPECT_EQ(resolved(catalog, {}, "local/gpt-4o"), "local: gpt-4o");
    EXPECT_THAT(resolved(catalog, {}, {}), HasSubstr("'local' has no model that is known"));
}

TEST(Catalog, RefusesANamedProviderThatIsNotConfigured) {
    EXPECT_EQ(resolved(usual_catalog(), "azure", "gpt-4o"),
              "400 provider: the provider 'azure' is not configured; configured: openai, "
              "anthropic, local");
    EXPECT_THAT(resolved(make_catalog({}), "openai", "gpt-4o"),
                HasSubstr("no provider is configured"));
    EXPECT_THAT(resolved(usual_catalog(), "OpenAI", "gpt-4o"), HasSubstr("400 provider"));
}

TEST(Catalog, AProviderWithAListTakesOnlyItsModels) {
    const Catalog catalog = usual_catalog();
    EXPECT_EQ(resolved(catalog, "local", "gpt-4o"),
              "404 model: the provider 'local' does not take the model 'gpt-4o'; its models: "
              "llama3.2, meta/llama, gpt-oss; configured: openai, anthropic, local");
    EXPECT_THAT(resolved(catalog, "", "local/gpt-4o"),
                HasSubstr("404 model: the provider 'local'"));
}

TEST(Catalog, ReadsProviderAndModelFromOneName) {
    const Catalog catalog = usual_catalog();
    EXPECT_EQ(resolved(catalog, "", "anthropic/claude-x"), "anthropic: claude-x");
    EXPECT_EQ(resolved(catalog, "", "openai/org/model"), "openai: org/model");
    EXPECT_EQ(resolved(catalog, "", "local/meta/llama"), "local: meta/llama");
    EXPECT_EQ(resolved(catalog, "openai", "openai/gpt-4o"), "openai: gpt-4o");
    EXPECT_EQ(resolved(catalog, "", "openai/openai/auto"), "openai: openai/auto");
    EXPECT_EQ(resolved(catalog, "openai", "anthropic/x"), "openai: anthropic/x");
    EXPECT_EQ(resolved(catalog, "", "meta/llama"), "local: meta/llama"); // no provider "meta"
    EXPECT_THAT(resolved(catalog, "", "openai/"), HasSubstr("404"));
    EXPECT_THAT(resolved(catalog, "", "/gpt-4o"), HasSubstr("404"));
    EXPECT_EQ(
        resolved(make_catalog({make_provider("router", {"router/auto"})}), "router", "router/auto"),
        "router: router/auto");
}

TEST(Catalog, KnowsNamesOfTheOperatorsOwn) {
    Catalog catalog = usual_catalog();
    EXPECT_EQ(resolved(catalog, "", "fast"), "openai: gpt-4o-mini");
    EXPECT_EQ(resolved(catalog, "openai", "fast"), "openai: gpt-4o-mini");
    EXPECT_EQ(resolved(catalog, "", "openai/fast"), "openai: gpt-4o-mini");
    EXPECT_EQ(resolved(catalog, "anthropic", "fast"), "anthropic: fast");
    catalog.aliases["llama3.2"] = {.provider = "anthropic", .model = "claude-sonnet-4-5"};
    EXPECT_EQ(resolved(catalog, "", "llama3.2"), "anthropic: claude-sonnet-4-5");
    EXPECT_EQ(resolved(catalog, "local", "llama3.2"), "local: llama3.2");
}

TEST(Catalog, TakesTheFirstProviderInTheFilesOrderThatListsTheModel) {
    const Catalog catalog =
        make_catalog({make_provider("openai"), make_provider("first", {"x", "gpt-4o"}),
                      make_provider("second", {"gpt-4o", "y"})});
    EXPECT_EQ(resolved(catalog, "", "gpt-4o"), "first: gpt-4o"); // a list comes before the name
    EXPECT_EQ(resolved(catalog, "", "y"), "second: y");
    EXPECT_EQ(resolved(catalog, "", "gpt-4o-mini"), "openai: gpt-4o-mini");
}

TEST(Catalog, KnowsVendorsByTheModelsName) {
    const Catalog catalog = usual_catalog();
    EXPECT_EQ(resolved(catalog, "", "claude-of-tomorrow"), "anthropic: claude-of-tomorrow");
    for (const std::string model :
         {"gpt-9", "chatgpt-9", "o1", "o1-x", "o3-x", "o4-x", "text-embedding-9"})
        EXPECT_EQ(resolved(catalog, "", model), "openai: " + model);
    EXPECT_THAT(resolved(catalog, "", "o5-x"), HasSubstr("404"));
    EXPECT_THAT(resolved(catalog, "", "claude"), HasSubstr("404"));
}

TEST(Catalog, TakesAProviderOfThatVendorWhereNoneHasItsName) {
    const Catalog catalog = make_catalog(
        {make_provider("anthropic-eu", {}, "anthropic"), make_provider("listed", {"a"}, "openai"),
         make_provider("work", {}, "openai"), make_provider("later", {}, "openai")});
    EXPECT_EQ(resolved(catalog, "", "gpt-4o"), "work: gpt-4o");
    EXPECT_EQ(resolved(catalog, "", "claude-opus-5"), "anthropic-eu: claude-opus-5");
}

TEST(Catalog, TakesThePriceFilesVendor) {
    const Catalog catalog = make_catalog({make_provider("openai"), make_provider("mistral"),
                                          make_provider("fast-chips", {}, "groq")});
    EXPECT_EQ(resolved(catalog, "", "codestral-2508"), "mistral: codestral-2508");
    EXPECT_EQ(resolved(catalog, "", "qwen/qwen3-32b"), "fast-chips: qwen/qwen3-32b");
    EXPECT_EQ(resolved(catalog, "", "davinci-002"), "openai: davinci-002");
    EXPECT_THAT(resolved(catalog, "", "gemini-2.5-pro"), HasSubstr("404"));
}

TEST(Catalog, NamesTheConfiguredProvidersWhenNoneTakesTheModel) {
    const auto target = usual_catalog().resolve("", "unheard-of");
    ASSERT_FALSE(target);
    EXPECT_EQ(target.error().code, ErrorCode::kModelNotFound);
    EXPECT_EQ(target.error().detail, "model_not_found");
    EXPECT_EQ(target.error().field, "model");
    EXPECT_EQ(target.error().message, "no provider takes the model 'unheard-of'; configured: "
                                      "openai, anthropic, local");
    EXPECT_EQ(resolved(make_catalog({}), "", "gpt-4o"),
              "404 model: no provider takes the model 'gpt-4o'; no provider is configured");
}

TEST(Catalog, ShortensALongNameInItsMessage) {
    std::string name(99, 'x');
    for (int index = 0; index < 1000; ++index)
        name += "\xC3\xA9";
    const std::string message = resolved(usual_catalog(), "", name);
    EXPECT_LT(message.size(), 300U);
    EXPECT_THAT(message, HasSubstr("x…'"));
}

TEST(Catalog, WithoutAModelTakesTheDefaultOne) {
    Catalog catalog = usual_catalog();
    EXPECT_EQ(resolved(catalog, "", ""), "openai: gpt-4o");
    catalog.default_model = "claude-opus-5";
    EXPECT_EQ(resolved(catalog, "", ""), "anthropic: claude-opus-5");
    catalog.default_model = "fast";
    EXPECT_EQ(resolved(catalog, "", ""), "openai: gpt-4o-mini");
    catalog.default_model = "unheard-of";
    EXPECT_THAT(resolved(catalog, "", ""), HasSubstr("404 model"));
}

TEST(Catalog, WithoutAModelAndADefaultTakesTheBestKnownOneOfTheFirst) {
    EXPECT_EQ(resolved(make_catalog({make_provider("anthropic"), make_provider("openai")}), "", ""),
              "openai: gpt-4o");
    EXPECT_EQ(resolved(make_catalog({make_provider("anthropic")}), "", ""),
              "anthropic: claude-sonnet-4-5");
    EXPECT_EQ(resolved(make_catalog({make_provider("local", {"llama3.2", "b"})}), "", ""),
              "local: llama3.2");
    EXPECT_EQ(resolved(make_catalog({make_provider("openai", {"gpt-5", "gpt-4.1"})}), "", ""),
              "openai: gpt-5");
    EXPECT_EQ(resolved(make_catalog({make_provider("mistral")}), "", ""),
              "mistral: mistral-large-latest");
    EXPECT_EQ(resolved(make_catalog({}), "", ""), "404 model: no provider is configured");
}

TEST(Catalog, TheDefaultPassesOverAProviderThatLacksItsKey) {
    std::vector<Provider> providers = {make_provider("openai"), make_provider("anthropic")};
    providers[0].missing_variable = "OPENAI_API_KEY";
    EXPECT_EQ(resolved(make_catalog(providers), "", ""), "anthropic: claude-sonnet-4-5");
    EXPECT_EQ(resolved(make_catalog(providers), "", "gpt-4o"), "openai: gpt-4o");
    providers[1].missing_variable = "ANTHROPIC_API_KEY";
    EXPECT_EQ(resolved(make_catalog(providers), "", ""), "openai: gpt-4o");
}

TEST(Catalog, ANamedProviderWithoutAModelTakesTheDefaultOnlyIfItIsItsOwn) {
    Catalog catalog = usual_catalog();
    catalog.default_model = "gpt-4.1";
    EXPECT_EQ(resolved(catalog, "openai", ""), "openai: gpt-4.1");
    EXPECT_EQ(resolved(catalog, "anthropic", ""), "anthropic: claude-sonnet-4-5");
    EXPECT_EQ(resolved(catalog, "local", ""), "local: llama3.2");
}

TEST(Catalog, TheBestKnownModelsHaveAPrice) {
    for (const char* vendor : {"openai", "anthropic", "deepseek", "gemini", "groq", "mistral"}) {
        const Catalog catalog = make_catalog({make_provider("some", {}, vendor)});
        const auto target = catalog.resolve("some", "");
        ASSERT_TRUE(target) << vendor;
        EXPECT_NE(catalog.prices.find(vendor, target->model), nullptr) << target->model;
    }
}

TEST(Catalog, AVendorWithoutPricesNeedsAModel) {
    EXPECT_THAT(resolved(make_catalog({make_provider("some", {}, "acme")}), "some", ""),
                HasSubstr("400 model: the provider 'some' has no model that is known"));
}

} // namespace
} // namespace larder::provider
