// Finding a model's price, and what a call costs. Reading the file is in price_file.cpp.
#include "llm/pricing.hpp"

#include <algorithm>
#include <limits>

namespace larder::llm {

namespace {

__extension__ using Wide = __int128; // a product of two 64-bit numbers fits
constexpr Wide kMost = std::numeric_limits<std::int64_t>::max();

bool is_digits(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// The name without "-2024-08-06" or "-20250514" at its end; the name itself if it has neither.
std::string_view without_date(std::string_view model) {
    constexpr std::size_t kCompact = std::string_view("-20250514").size();
    constexpr std::size_t kDashed = std::string_view("-2024-08-06").size();
    if (model.size() > kCompact) {
        const std::string_view tail = model.substr(model.size() - kCompact);
        if (tail[0] == '-' && is_digits(tail.substr(1)))
            return model.substr(0, model.size() - kCompact);
    }
    if (model.size() > kDashed) {
        const std::string_view tail = model.substr(model.size() - kDashed);
        if (tail[0] == '-' && is_digits(tail.substr(1, 4)) && tail[5] == '-' &&
            is_digits(tail.substr(6, 2)) && tail[8] == '-' && is_digits(tail.substr(9)))
            return model.substr(0, model.size() - kDashed);
    }
    return model;
}

} // namespace

const Price* PriceTable::find(std::string_view vendor, std::string_view model) const {
    constexpr std::string_view kLatest = "-latest";
    const auto exactly = [&](std::string_view name) -> const Price* {
        std::string key;
        key.reserve(vendor.size() + 1 + name.size());
        key.append(vendor).append("/").append(name);
        const auto found = prices_.find(key);
        return found == prices_.end() ? nullptr : &found->second;
    };
    if (const Price* price = exactly(model))
        return price;
    if (const std::string_view dateless = without_date(model); dateless.size() < model.size())
        return exactly(dateless);
    if (model.ends_with(kLatest))
        return exactly(model.substr(0, model.size() - kLatest.size()));
    return nullptr;
}

std::vector<std::string> PriceTable::vendors_of(std::string_view model) const {
    std::vector<std::string> vendors;
    auto entry = prices_.begin();
    while (entry != prices_.end()) {
        std::string vendor = entry->first.substr(0, entry->first.find('/'));
        entry = prices_.lower_bound(vendor + static_cast<char>('/' + 1));
        if (find(vendor, model) != nullptr)
            vendors.push_back(std::move(vendor));
    }
    std::ranges::sort(vendors); // "a-b/" stands before "a/" in the table
    return vendors;
}

std::vector<std::string> PriceTable::models(std::string_view vendor, std::string_view mode) const {
    const std::string prefix = std::string(vendor) + "/";
    std::vector<std::string> names;
    for (auto entry = prices_.lower_bound(prefix);
         entry != prices_.end() && entry->first.starts_with(prefix); ++entry)
        if (entry->second.mode == mode)
            names.push_back(entry->first.substr(prefix.size()));
    return names;
}

Money cost_of(const Price& price, const Usage& usage) {
    const auto count = [](std::int64_t tokens) { return std::max<std::int64_t>(tokens, 0); };
    // usage.prompt() with what no provider would send: negative figures, and sums beyond 64 bits.
    const Wide prompt = Wide{count(usage.input)} + count(usage.cached_input) +
                        count(usage.cache_write) + count(usage.cache_write_1h);
    const bool is_long = price.long_prompt_above > 0 && prompt > price.long_prompt_above;
    const Price::Rates& rates = is_long ? price.long_prompt : price.base;
    const std::int64_t output = count(usage.output);
    const std::int64_t reasoning = std::min(count(usage.reasoning), output);
    Wide cost = 0; // six terms, each within 64 bits
    const auto add = [&cost](std::int64_t tokens, std::int64_t rate) {
        cost += std::min(Wide{tokens} * rate, kMost);
    };
    add(count(usage.input), rates.input);
    add(count(usage.cached_input), rates.cached_input);
    add(count(usage.cache_write), rates.cache_write);
    add(count(usage.cache_write_1h), rates.cache_write_1h);
    add(output - reasoning, rates.output);
    add(reasoning, rates.reasoning);
    return {.picodollars = static_cast<std::int64_t>(std::min(cost, kMost))};
}

} // namespace larder::llm
