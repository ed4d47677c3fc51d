// What of an effective request is in its cache key: the canonical body less a short list that can't
// change the answer. Everything that is not on the list counts, known or not.
#include "protocol/protocol.hpp"

#include <algorithm>
#include <array>

namespace larder::protocol {

namespace {

constexpr std::array<std::string_view, 5> kSkipped = {"stream", "stream_options", "user",
                                                      "metadata", "store"};

/// Members whose value is free-form: models see the order of its members.
constexpr std::array<std::string_view, 19> kFreeForm = {"parametersJsonSchema",
                                                        "responseJsonSchema",
                                                        "parameters",
                                                        "input_schema",
                                                        "schema",
                                                        "output_schema",
                                                        "properties",
                                                        "$defs",
                                                        "definitions",
                                                        "patternProperties",
                                                        "input",
                                                        "arguments",
                                                        "input_examples",
                                                        "guided_json",
                                                        "response_schema",
                                                        "responseSchema",
                                                        "args",
                                                        "chat_template_kwargs",
                                                        "structural_tag"};

/// `input` is a tool's in all dialects but Responses, where it is the API's own list of items.
json::Order order_of(Dialect dialect, std::string_view name) {
    if (name == "input" && dialect == Dialect::kOpenAiResponses)
        return json::Order::kFree;
    return std::ranges::find(kFreeForm, name) != kFreeForm.end() ? json::Order::kKept
                                                                 : json::Order::kFree;
}

} // namespace

void add_to_fingerprint(llm::FingerprintBuilder& key, Dialect dialect, json::Value effective_body) {
    // `store` is last in the list: it is left out only where it says what its absence says, which
    // is true for responses: their ids lead on only where they are stored.
    const auto store = effective_body.find("store");
    const auto unset =
        dialect == Dialect::kOpenAiResponses ? json::Kind::kTrue : json::Kind::kFalse;
    const bool counts_store = store && !store->is(unset) && !store->is(json::Kind::kNull);
    json::CanonicalOptions options;
    options.skip_top = std::span(kSkipped).first(kSkipped.size() - (counts_store ? 1 : 0));
    options.order = [dialect](std::string_view name) { return order_of(dialect, name); };
    std::string canonical;
    canonical.reserve(effective_body.raw().size());
    json::write_canonical(canonical, effective_body, options);
    key.add("dialect", name_of(dialect));
    key.add("body", canonical);
}

} // namespace larder::protocol
