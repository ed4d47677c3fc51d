// JSON Merge Patch (RFC 7396) over texts: what the patch does not name keeps its bytes. Pure, any
// thread.
#pragma once

#include "base/json.hpp"

#include <string>

namespace larder::session {

/// The text of `target` after `patch` (RFC 7396, section 2): members that are null in the patch are
/// gone, objects are merged member by member, anything else takes the place of what was there.
/// Members stay in the target's order, new ones follow in the patch's. Time and memory grow with
/// the sum of both texts.
std::string merge_patch(json::Value target, json::Value patch);

} // namespace larder::session
