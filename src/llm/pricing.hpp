// Prices of models from price files of our own form. Immutable after loading, any thread.
#pragma once

#include "base/result.hpp"
#include "llm/usage.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::llm {

/// Picodollars a token by class; a class that has no price of its own takes `input` (or `output`
/// for reasoning).
struct Price {
    struct Rates {
        std::int64_t input = 0;
        std::int64_t output = 0;
        std::int64_t cached_input = 0;
        std::int64_t cache_write = 0;
        std::int64_t cache_write_1h = 0;
        std::int64_t reasoning = 0;
    };
    Rates base;
    std::int64_t long_prompt_above = 0; // tokens; 0: there is no long-prompt price
    Rates long_prompt;
    std::int64_t context = 0;
    std::int64_t max_output = 0;
    std::string mode; // "chat", "embedding", …
    bool uncertain = false;
};

class PriceTable {
public:
    /// Reads a price file (JSON; its form is described in docs/configuration.md). A later `load`
    /// overrides single models of an earlier one.
    Result<void> load(std::string_view json_text);
    /// The price of `model` at the vendor `vendor` ("openai", "anthropic"): exact name, else
    /// without a date suffix
    /// ("-2024-08-06", "-20250514"), else "-latest" removed. nullptr when unknown.
    [[nodiscard]] const Price* find(std::string_view vendor, std::string_view model) const;
    /// Vendors that list `model`, in name order: for finding a provider by the price file.
    [[nodiscard]] std::vector<std::string> vendors_of(std::string_view model) const;
    /// All model names of one vendor with mode "chat".
    [[nodiscard]] std::vector<std::string> chat_models(std::string_view vendor) const {
        return models(vendor, "chat");
    }
    [[nodiscard]] std::vector<std::string> models(std::string_view vendor,
                                                  std::string_view mode) const;

private:
    std::map<std::string, Price, std::less<>> prices_; // by "vendor/model"
};

/// What `usage` costs; long-prompt rates apply when usage.prompt() is above their bound. Saturates,
/// never overflows.
Money cost_of(const Price& price, const Usage& usage);

/// The file that is built in: shared figures brought into our form.
std::string_view built_in_prices();

} // namespace larder::llm
