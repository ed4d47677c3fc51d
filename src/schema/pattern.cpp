// The one file that knows RE2, and how an ECMA-262 expression is put in its words.
#include "schema/pattern.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <re2/re2.h>
#include <string>

namespace larder::schema {

namespace {

constexpr std::size_t kExpressionBytesMax = 1'000;
constexpr std::int64_t kMemoryMax = 512 << 10; // of one pattern, its program and its automata
constexpr int kProgramMax = 10'000;            // instructions
// What `\s` and `\S` stand for in ECMA-262 (12.2 and 12.3), as the inside of a class.
constexpr std::string_view kSpaces = R"(\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029})"
                                     R"(\x{202f}\x{205f}\x{3000}\x{feff})";
constexpr std::string_view kNoSpaces =
    R"(\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027})"
    R"(\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff})";

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string hex_escape(std::uint32_t point) {
    std::array<char, 8> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), point, 16);
    return "\\x{" + std::string(digits.data(), written.ptr) + "}";
}

/// Rewrites what ECMA-262 and RE2 write differently; what RE2 alone knows is refused, and what it
/// does not know is left for it to refuse.
class Translator {
public:
    explicit Translator(std::string_view expression) : in_(expression) {}

    Result<std::string> translate() {
        while (at_ < in_.size()) {
            const char c = in_[at_];
            if (c == '\\')
                LARDER_CHECK(escape());
            else if (in_class_)
                inside_class(c);
            else
                outside_class(c);
        }
        return std::move(out_);
    }

private:
    void inside_class(char c) {
        if (c == '[') // RE2 would look for [:alpha:]
            out_ += '\\';
        in_class_ = c != ']';
        out_ += c;
        ++at_;
    }

    void outside_class(char c) {
        const std::string_view rest = in_.substr(at_);
        if (rest.starts_with("(?<") && !rest.starts_with("(?<=") && !rest.starts_with("(?<!")) {
            out_ += "(?P<";
            at_ += 3;
            return;
        }
        ++at_;
        if (c == '.') {
            out_ += R"([^\n\r\x{2028}\x{2029}])";
            return;
        }
        out_ += c;
        if (c != '[')
            return;
        in_class_ = true;
        if (at_ < in_.size() && in_[at_] == '^')
            out_ += in_[at_++];
    }

    Result<void> escape() {
        const char c = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
        at_ += 2;
        switch (c) {
        case 'u':
            return unicode();
        case 's':
            append_class(kSpaces);
            return {};
        case 'S':
            append_class(kNoSpaces);
            return {};
        case 'c':
            if (at_ >= in_.size() || !is_letter(in_[at_]))
                return fail(ErrorCode::kInvalidRequest, R"(\c needs a letter)");
            out_ += hex_escape(static_cast<std::uint32_t>(in_[at_++]) & 0x1FU);
            return {};
        case 'b':
            out_ += in_class_ ? "\\x{8}" : "\\b";
            return {};
        case '0':
            out_ += "\\x{0}";
            return {};
        default:
            break;
        }
        constexpr std::string_view kLetters = "BdDwWpPkfnrtvx";
        if (is_letter(c) && !kLetters.contains(c))
            return fail(ErrorCode::kInvalidRequest, std::string("unknown escape \\") + c);
        out_ += '\\';
        if (at_ <= in_.size())
            out_ += c;
        return {};
    }

    void append_class(std::string_view inside) {
        out_ += in_class_ ? std::string(inside) : "[" + std::string(inside) + "]";
    }

    Result<void> unicode() {
        std::optional<std::uint32_t> point;
        if (at_ < in_.size() && in_[at_] == '{') {
            const std::size_t end = std::min(in_.find('}', at_), in_.size());
            point = hex(in_.substr(at_ + 1, end - at_ - 1));
            at_ = std::min(end + 1, in_.size());
        } else {
            point = four_digits();
            const bool is_high = point && *point >= 0xD800 && *point <= 0xDBFF;
            if (is_high && in_.substr(at_).starts_with("\\u")) {
                at_ += 2;
                const auto low = four_digits();
                point = low && *low >= 0xDC00 && *low <= 0xDFFF
                            ? std::optional(0x10000 + ((*point - 0xD800) << 10U) + (*low - 0xDC00))
                            : std::nullopt;
            }
        }
        if (!point)
            return fail(ErrorCode::kInvalidRequest, R"(\u needs four hexadecimal digits)");
        out_ += hex_escape(*point);
        return {};
    }

    std::optional<std::uint32_t> four_digits() {
        const std::string_view digits = in_.substr(std::min(at_, in_.size()), 4);
        at_ += digits.size();
        return digits.size() == 4 ? hex(digits) : std::nullopt;
    }

    static std::optional<std::uint32_t> hex(std::string_view digits) {
        std::uint32_t point = 0;
        const char* const end = digits.data() + digits.size();
        const auto read = std::from_chars(digits.data(), end, point, 16);
        if (read.ec != std::errc{} || read.ptr != end || point > 0x10FFFF)
            return std::nullopt;
        return point;
    }

    std::string_view in_;
    std::string out_;
    std::size_t at_ = 0;
    bool in_class_ = false;
};

std::unexpected<Error> refuse(std::string_view reason) {
    return fail(ErrorCode::kInvalidRequest,
                "is no regular expression that can be checked: " + std::string(reason));
}

} // namespace

struct Pattern::Compiled {
    Compiled(const std::string& expression, const RE2::Options& options)
        : expression(expression, options) {}
    RE2 expression;
};

Pattern::Pattern(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Result<Pattern> Pattern::compile(std::string_view expression) {
    if (expression.size() > kExpressionBytesMax)
        return refuse("it is longer than 1,000 bytes");
    auto translated = Translator(expression).translate();
    if (!translated)
        return refuse(translated.error().message);
    RE2::Options options;
    options.set_log_errors(false);
    options.set_never_capture(true);
    options.set_max_mem(kMemoryMax);
    auto compiled = std::make_unique<Compiled>(*translated, options);
    if (!compiled->expression.ok())
        return refuse(compiled->expression.error());
    if (compiled->expression.ProgramSize() > kProgramMax)
        return refuse("it is too large");
    return Pattern(std::move(compiled));
}

bool Pattern::matches(std::string_view text) const {
    return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), compiled_->expression);
}

std::size_t Pattern::steps(std::size_t bytes) const {
    constexpr std::size_t kInstructionsInAStep = 64;
    const auto size = static_cast<std::size_t>(compiled_->expression.ProgramSize());
    return 1 + (bytes * size / kInstructionsInAStep);
}

} // namespace larder::schema
