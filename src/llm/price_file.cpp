// Reads price files: dollars per million tokens as decimal numbers, brought into picodollars a
// token exactly. Strict: an unknown member or a wrong type is refused, and nothing of the file is
// taken.
#include "base/json.hpp"
#include "llm/pricing.hpp"

namespace larder::llm {

namespace {

/// A dollar per million tokens is 10^6 picodollars a token.
constexpr int kPlaces = 6;

std::unexpected<Error> refuse(const std::string& where, std::string_view reason) {
    return fail_field(where, "the price file: " + where + " " + std::string(reason));
}

Result<std::int64_t> read_rate(const std::string& where, json::Value value) {
    const auto rate = value.as_scaled(kPlaces);
    if (!rate || *rate < 0)
        return refuse(where, "must be dollars per million tokens: a number of 0 or more with up to "
                             "six decimals");
    return *rate;
}

Result<std::int64_t> read_tokens(const std::string& where, json::Value value) {
    const auto tokens = value.as_int();
    if (!tokens || *tokens < 0)
        return refuse(where, "must be a whole number of tokens");
    return *tokens;
}

/// The rates as they are written; a class that isn't given is missing.
struct GivenRates {
    std::optional<std::int64_t> input, output, cached_input, cache_write, cache_write_1h, reasoning;

    std::optional<std::int64_t>* member(std::string_view name) {
        if (name == "input")
            return &input;
        if (name == "output")
            return &output;
        if (name == "cached_input")
            return &cached_input;
        if (name == "cache_write")
            return &cache_write;
        if (name == "cache_write_1h")
            return &cache_write_1h;
        return name == "reasoning" ? &reasoning : nullptr;
    }

    [[nodiscard]] Price::Rates with_defaults(const Price::Rates& otherwise) const {
        Price::Rates rates;
        rates.input = input.value_or(otherwise.input);
        rates.output = output.value_or(otherwise.output);
        rates.cached_input = cached_input.value_or(rates.input);
        rates.cache_write = cache_write.value_or(rates.input);
        rates.cache_write_1h = cache_write_1h.value_or(rates.input);
        rates.reasoning = reasoning.value_or(rates.output);
        return rates;
    }
};

/// Calls `read(name, value)` for each member until one of them fails.
template <class Read> Result<void> read_members(json::Value object, Read read) {
    Result<void> outcome;
    object.for_each_member([&](std::string_view name, json::Value value) {
        outcome = read(name, value);
        return outcome.has_value();
    });
    return outcome;
}

Result<void> read_long_prompt(const std::string& where, json::Value object, Price& price,
                              GivenRates& given) {
    if (!object.is(json::Kind::kObject))
        return refuse(where, "must be an object");
    LARDER_CHECK(
        read_members(object, [&](std::string_view name, json::Value value) -> Result<void> {
            const std::string path = where + "." + std::string(name);
            if (name == "above") {
                LARDER_TRY(price.long_prompt_above, read_tokens(path, value));
                return {};
            }
            std::optional<std::int64_t>* const rate = given.member(name);
            if (rate == nullptr)
                return refuse(path, "is not known");
            LARDER_TRY(*rate, read_rate(path, value));
            return {};
        }));
    if (price.long_prompt_above == 0)
        return refuse(where, "needs `above`: from how many prompt tokens on it counts");
    return {};
}

Result<void> read_member(const std::string& where, std::string_view name, json::Value value,
                         Price& price) {
    if (name == "context") {
        LARDER_TRY(price.context, read_tokens(where, value));
    } else if (name == "max_output") {
        LARDER_TRY(price.max_output, read_tokens(where, value));
    } else if (name == "mode") {
        const auto mode = value.as_string();
        if (!mode)
            return refuse(where, "must be a string");
        price.mode = *mode;
    } else if (name == "uncertain") {
        const auto uncertain = value.as_bool();
        if (!uncertain)
            return refuse(where, "must be true or false");
        price.uncertain = *uncertain;
    } else {
        return refuse(where, "is not known");
    }
    return {};
}

Result<Price> read_price(const std::string& model, json::Value object) {
    if (!object.is(json::Kind::kObject))
        return refuse(model, "must be an object");
    Price price;
    price.mode = "chat";
    GivenRates base;
    GivenRates long_prompt;
    LARDER_CHECK(
        read_members(object, [&](std::string_view name, json::Value value) -> Result<void> {
            const std::string where = model + "." + std::string(name);
            if (name == "long_prompt")
                return read_long_prompt(where, value, price, long_prompt);
            std::optional<std::int64_t>* const rate = base.member(name);
            if (rate == nullptr)
                return read_member(where, name, value, price);
            LARDER_TRY(*rate, read_rate(where, value));
            return {};
        }));
    if (!base.input || !base.output)
        return refuse(model, "needs `input` and `output`");
    price.base = base.with_defaults({});
    price.long_prompt = long_prompt.with_defaults(price.base);
    return price;
}

} // namespace

Result<void> PriceTable::load(std::string_view json_text) {
    auto document = json::parse(json_text);
    if (!document)
        return std::unexpected(std::move(document.error()).with("the price file"));
    const json::Value root = document->root();
    const auto models = root.find("models");
    if (!models || !models->is(json::Kind::kObject))
        return refuse("models", "must be an object of prices by \"vendor/model\"");
    LARDER_CHECK(read_members(root, [](std::string_view name, json::Value value) -> Result<void> {
        if (name == "models" || (name == "about" && value.is(json::Kind::kString)))
            return {};
        return refuse(std::string(name), name == "about" ? "must be a string" : "is not known");
    }));
    std::map<std::string, Price, std::less<>> read;
    LARDER_CHECK(
        read_members(*models, [&](std::string_view name, json::Value value) -> Result<void> {
            const std::size_t slash = name.find('/');
            if (slash == 0 || slash == std::string_view::npos || slash + 1 == name.size())
                return refuse(std::string(name), "must be named \"vendor/model\"");
            LARDER_TRY(Price price, read_price(std::string(name), value));
            read.insert_or_assign(std::string(name), std::move(price));
            return {};
        }));
    read.merge(prices_); // what stays in prices_ is overridden
    prices_ = std::move(read);
    return {};
}

} // namespace larder::llm
