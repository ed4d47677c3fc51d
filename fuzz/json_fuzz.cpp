// Fuzzes base/json: what parses has a canonical form that parses and is its own canonical form, and
// every getter can be called on every value.
#include "base/json.hpp"

#include <cstddef>
#include <cstdint>

namespace {

using larder::json::Kind;
using larder::json::Value;

std::string canonical_of(const larder::json::Document& document,
                         const larder::json::CanonicalOptions& options = {}) {
    std::string out;
    larder::json::write_canonical(out, document.root(), options);
    return out;
}

void read_all(Value value) {
    LARDER_ASSERT(value.begin() < value.end());
    const auto text = value.as_string();
    LARDER_ASSERT(text.has_value() == value.is(Kind::kString));
    if (const auto plain = value.as_plain_string())
        LARDER_ASSERT(*plain == *text);
    const auto number = value.as_double();
    if (const auto integer = value.as_int())
        LARDER_ASSERT(number && static_cast<double>(*integer) == *number);
    std::uint32_t count = 0;
    value.for_each_element([&count](Value element) {
        ++count;
        read_all(element);
        return true;
    });
    value.for_each_member([&count, value](std::string_view name, Value member) {
        ++count;
        const auto found = value.find(name);
        LARDER_ASSERT(found && found->begin() == member.begin());
        read_all(member);
        return true;
    });
    LARDER_ASSERT(count == value.size());
}

void check_string_comes_back(std::string_view text) {
    std::string written;
    larder::json::write_string(written, text);
    if (const auto document = larder::json::parse(written)) // refused: `text` was no UTF-8
        LARDER_ASSERT(document->root().as_string() == text);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_string_comes_back(text);
    const auto document = larder::json::parse(text);
    if (!document) {
        LARDER_ASSERT(!document.error().message.empty());
        LARDER_ASSERT(document.error().position.value_or(size) <= size);
        return 0;
    }
    read_all(document->root());
    const larder::json::CanonicalOptions keep_order{
        .order = [](std::string_view) { return larder::json::Order::kKept; }};
    for (const auto& options : {larder::json::CanonicalOptions{}, keep_order}) {
        const std::string canonical = canonical_of(*document, options);
        const auto again = larder::json::parse(canonical);
        LARDER_ASSERT(again);
        LARDER_ASSERT(canonical_of(*again, options) == canonical);
    }
    return 0;
}
