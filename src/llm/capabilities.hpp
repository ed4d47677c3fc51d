// What models can do beside text, by the families that are known. Pure, any thread.
#pragma once

#include <string_view>

namespace larder::llm {

struct Capabilities {
    bool tools = true;
    bool vision = false;
    bool json = true; // answers held to a JSON Schema, or to JSON
};

/// Of `model` at `vendor` ("openai", "anthropic", "gemini", …; the model's name may have the vendor
/// of an aggregator before it: "openai/gpt-4o"). A model that is not known is trusted with tools
/// and JSON, not with images.
Capabilities capabilities_of(std::string_view vendor, std::string_view model);

} // namespace larder::llm
