#include "provider/retry.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <string>

namespace larder::provider {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kLongest = 86'400'000; // an absurd wish is cut to a day

std::optional<std::int64_t> number_of(std::string_view text) {
    text = text::trim(text);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    // Some send fractions; what follows the point is rounded up.
    if (text.starts_with('-'))
        return std::nullopt;
    if (error == std::errc::result_out_of_range)
        return kLongest;
    if (error != std::errc())
        return std::nullopt;
    number = std::min(number, kLongest);
    if (end != text.data() + text.size())
        return *end == '.' ? std::optional(number + 1) : std::nullopt;
    return number;
}

} // namespace

bool is_retryable(int status) {
    return status == 408 || status == 409 || status == 429 ||
           (status >= 500 && status != 501 && status != 505);
}

std::optional<milliseconds> retry_after(const http::Fields& fields, std::int64_t now_epoch_ms) {
    if (const auto exact = fields.find("retry-after-ms")) {
        if (const auto ms = number_of(*exact))
            return milliseconds(std::min(*ms, kLongest));
    }
    const auto field = fields.find("retry-after");
    if (!field)
        return std::nullopt;
    if (const auto seconds = number_of(*field))
        return milliseconds(std::min(*seconds, kLongest / 1000) * 1000);
    std::tm parts{};
    const std::string date(*field);
    if (::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr)
        return std::nullopt;
    const std::int64_t at = static_cast<std::int64_t>(::timegm(&parts)) * 1000;
    return milliseconds(std::clamp<std::int64_t>(at - now_epoch_ms, 0, kLongest));
}

std::optional<milliseconds> RetrySchedule::next(std::optional<milliseconds> asked,
                                                std::uint64_t random, int sends) {
    tries_ += std::max(sends, 1) - 1;
    if (tries_ >= retries_)
        return std::nullopt;
    const std::int64_t bound = std::max<std::int64_t>(provider_.retry_base.count(), 1)
                               << std::min(tries_, 20);
    milliseconds wait(static_cast<std::int64_t>(random % static_cast<std::uint64_t>(bound + 1)));
    const milliseconds left = provider_.retry_max_wait - waited_;
    if (asked) {
        if (*asked > left)
            return std::nullopt; // it would refuse us again
        wait = std::max(wait, *asked);
    }
    wait = std::min(wait, left);
    ++tries_;
    waited_ += wait;
    return wait;
}

} // namespace larder::provider
