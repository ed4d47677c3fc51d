// The face of the room, and the words that its two halves share.
#include "schema/schema.hpp"

#include "schema/compiled.hpp"
#include "schema/path.hpp"

#include <algorithm>
#include <array>

namespace larder::schema {

struct Schema::Compiled {
    Program program;
};

Schema::Schema(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
Schema::Schema(Schema&&) noexcept = default;
Schema& Schema::operator=(Schema&&) noexcept = default;
Schema::~Schema() = default;

Result<Schema> Schema::compile(json::Value schema, const Limits& limits) {
    LARDER_TRY(Program program, compile_schema(schema, limits));
    return Schema(std::make_unique<Compiled>(std::move(program)));
}

Result<std::vector<Violation>> Schema::check(json::Value value) const {
    return check_value(compiled_->program, value);
}

std::string to_text(const std::vector<Violation>& violations, std::size_t bytes) {
    constexpr std::size_t kRestBytes = 24; // "; and 18446744073709551 more"
    std::string out;
    for (std::size_t index = 0; index < violations.size(); ++index) {
        const Violation& violation = violations[index];
        const std::string place = violation.path.empty() ? "the value" : violation.path;
        const std::string line = (index == 0 ? "" : "; ") + place + " " + violation.message;
        const bool is_last = index + 1 == violations.size();
        if (out.size() + line.size() + (is_last ? 0 : kRestBytes) > bytes) {
            if (index == 0)
                return bytes < 3 ? "" : clip(line, bytes - 3);
            return out + "; and " + std::to_string(violations.size() - index) + " more";
        }
        out += line;
    }
    return out;
}

bool is_deeper_than(json::Value value, std::size_t levels) {
    const json::Document& document = value.document();
    const std::uint32_t end = document.node(value.index()).next;
    std::vector<std::uint32_t> open; // where the containers around `index` end
    for (std::uint32_t index = value.index(); index < end; ++index) {
        while (!open.empty() && index >= open.back())
            open.pop_back();
        const json::Node& node = document.node(index);
        if (node.kind == json::Kind::kArray || node.kind == json::Kind::kObject)
            open.push_back(node.next);
        if (open.size() > levels)
            return true;
    }
    return false;
}

TypeBit type_of(json::Value value) {
    switch (value.kind()) {
    case json::Kind::kNull:
        return kNullBit;
    case json::Kind::kFalse:
    case json::Kind::kTrue:
        return kBooleanBit;
    case json::Kind::kNumber:
        return kNumberBit;
    case json::Kind::kString:
        return kStringBit;
    case json::Kind::kArray:
        return kArrayBit;
    case json::Kind::kObject:
        return kObjectBit;
    }
    return kNullBit;
}

std::string words_of(std::uint8_t types) {
    struct Word {
        TypeBit bit;
        std::string_view text;
    };
    constexpr std::array kWords = {Word{kObjectBit, "an object"},
                                   Word{kArrayBit, "an array"},
                                   Word{kStringBit, "a string"},
                                   Word{kNumberBit, "a number"},
                                   Word{kIntegerBit, "a whole number"},
                                   Word{kBooleanBit, "true or false"},
                                   Word{kNullBit, "null"}};
    std::string out;
    for (const Word& word : kWords) {
        if ((types & word.bit) != 0)
            out.append(out.empty() ? "" : " or ").append(word.text);
    }
    return out;
}

} // namespace larder::schema
