// An entry of what the provider said: its times, figures and labels. Any thread.
#pragma once

#include "gateway/gateway.hpp"

namespace larder::gateway {

/// `answer` may be null for a shape that only its API knows: its figures are estimates then.
cache::EntryPtr make_entry(const Prepared& prepared, std::int64_t now_ms, std::string_view body,
                           cache::PrimaryForm form, const protocol::Answer* answer);

/// kProviderUnreadable with the provider's name.
std::unexpected<Error> unreadable(const Prepared& prepared, std::string_view why);

} // namespace larder::gateway
