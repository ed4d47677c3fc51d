// The steps from a request to its key that completions and embeddings share. Pure, any thread.
#pragma once

#include "base/json.hpp"
#include "gateway/gateway.hpp"

#include <string>
#include <string_view>

namespace larder::gateway {

/// kInvalidRequest for whatever is wrong with it.
Result<json::Document> parse_body(std::string_view text);

/// A request that was read, before it is known who gets it. It stays where it is: the document
/// stands on its texts.
struct RequestReading {
    RequestReading() = default;
    RequestReading(const RequestReading&) = delete;
    RequestReading& operator=(const RequestReading&) = delete;
    json::Document body;
    std::string stripped; // what `body` stands on, where something was taken out of the client's
    Prepared base;        // settings, directives and call
};
Result<void> read_request(RequestReading& reading, std::shared_ptr<const Settings> settings,
                          const Inquiry& inquiry);

/// Takes out of `body` what is for the cache. `stripped` is what `body` stands on then.
Result<void> take_body_directives(Prepared& prepared, json::Document& body, std::string& stripped);

/// With settings, directives, call, target and dialect known: path, fields, times, and what the
/// rules of the cache say.
void set_way(Prepared& prepared, const Inquiry& inquiry, std::int64_t now_ms);

/// All of a key but the body.
llm::FingerprintBuilder begin_key(const Prepared& prepared, const Inquiry& inquiry);

/// The client's API is none of the provider's.
std::unexpected<Error> has_no(const provider::Provider& provider, protocol::Dialect dialect);

} // namespace larder::gateway
