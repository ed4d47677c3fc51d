// Whether what the file says can ever match: routes against the endpoints, cache rules against
// those before them. Pure, any thread.
#pragma once

#include "gateway/settings.hpp"

#include <string_view>

namespace larder::app {

/// Whether some endpoint, of this version or of the contract's later ones, is under `pattern`:
/// "METHOD /path" with `*` for any run of characters. HEAD counts as GET and OPTIONS is never
/// counted, so that patterns of these methods match nothing; nor does one of an endpoint that is
/// under no limit.
bool matches_some_endpoint(std::string_view pattern);

/// Whether each request that `later` matches is matched by `earlier` too.
bool covers(const gateway::CacheRule& earlier, const gateway::CacheRule& later);

} // namespace larder::app
