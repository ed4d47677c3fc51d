// Fuzzes schemas: the first line is a schema, the rest a value. Whatever they are, compiling and
// checking end in bounded time, a verdict is the same twice, and the opposite under "not".
#include "schema/schema.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using larder::json::Document;
using larder::schema::Limits;
using larder::schema::Schema;

constexpr Limits kLimits{.nodes = 500, .depth = 32, .steps = 20'000, .violations = 5};

void check_words(const std::vector<larder::schema::Violation>& violations) {
    LARDER_ASSERT(violations.size() <= kLimits.violations);
    for (const auto& violation : violations) {
        LARDER_ASSERT(violation.path.empty() || violation.path.starts_with('/'));
        LARDER_ASSERT(!violation.message.empty() && violation.message.size() < 500);
    }
    LARDER_ASSERT(larder::schema::to_text(violations, 100).size() <= 100);
}

/// Only for schemas without references, whose pointers would lead elsewhere.
void check_opposite(std::string_view schema_text, const Document& value, bool is_valid) {
    if (schema_text.find("ref") != std::string_view::npos ||
        schema_text.find("$id") != std::string_view::npos ||
        schema_text.find('\\') != std::string_view::npos)
        return;
    const std::string text = "{\"not\":" + std::string(schema_text) + "}";
    const auto document = larder::json::parse(text);
    LARDER_ASSERT(document);
    const auto schema = Schema::compile(document->root(), kLimits);
    if (!schema) // one deeper, or one more
        return;
    const auto violations = schema->check(value.root());
    LARDER_ASSERT(!violations || violations->empty() != is_valid);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t line = text.find('\n');
    const std::string_view schema_text = text.substr(0, line);
    const auto schema_document = larder::json::parse(schema_text);
    const auto value = larder::json::parse(line == std::string_view::npos ? std::string_view("null")
                                                                          : text.substr(line + 1));
    if (!schema_document || !value)
        return 0;
    const auto schema = Schema::compile(schema_document->root(), kLimits);
    if (!schema) {
        LARDER_ASSERT(!schema.error().message.empty());
        LARDER_ASSERT(schema.error().field.empty() || schema.error().field.starts_with('/'));
        return 0;
    }
    const auto violations = schema->check(value->root());
    const auto again = schema->check(value->root());
    LARDER_ASSERT(violations.has_value() == again.has_value());
    if (!violations) {
        LARDER_ASSERT(violations.error().code == larder::ErrorCode::kTooLarge);
        return 0;
    }
    LARDER_ASSERT(violations->size() == again->size());
    check_words(*violations);
    check_opposite(schema_text, *value, violations->empty());
    return 0;
}
