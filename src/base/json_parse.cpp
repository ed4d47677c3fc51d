// The JSON parser: one pass, no recursion, no allocation for a value. Pure, any thread.
// An open container keeps the index of the one around it in `next` until it is closed, so that the
// tape is its own stack.
#include "base/json.hpp"

#include "base/json_internal.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <simdjson.h>

namespace larder::json {

namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kPairwiseMembersMax = 16;
constexpr std::size_t kReservedNodesMax = 4096;
constexpr std::size_t kFieldBytesMax = 256;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// -1 for what is no hexadecimal digit.
int hex_digit(char c) {
    if (is_digit(c))
        return c - '0';
    const char lowered = static_cast<char>(c | 0x20);
    return lowered >= 'a' && lowered <= 'f' ? lowered - 'a' + 10 : -1;
}

/// The length of the UTF-8 sequence that starts at `at` (Unicode 15, table 3-7), or 0.
std::size_t sequence_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t index) {
        return index < text.size() ? static_cast<unsigned char>(text[index]) : 0U;
    };
    const unsigned first = byte(at);
    const unsigned second = byte(at + 1);
    const auto follows = [&](std::size_t index) { return (byte(index) & 0xC0U) == 0x80U; };
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return follows(at + 1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const bool in_range =
            !(first == 0xE0 && second < 0xA0) && !(first == 0xED && second > 0x9F);
        return in_range && follows(at + 1) && follows(at + 2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool in_range =
            !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second > 0x8F);
        return in_range && follows(at + 1) && follows(at + 2) && follows(at + 3) ? 4 : 0;
    }
    return 0;
}

std::size_t first_invalid_utf8(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t length = sequence_length(text, at);
        if (length == 0)
            return at;
        at += length;
    }
    return at;
}

/// A member's name as it is compared, and where it stands.
struct Name {
    std::string_view text;
    std::uint32_t begin = 0;
};

/// By length first: names of one length only are ever compared bytewise.
bool by_length_then_text(const Name& a, const Name& b) {
    if (a.text.size() != b.text.size())
        return a.text.size() < b.text.size();
    const int order = a.text.compare(b.text);
    return order != 0 ? order < 0 : a.begin < b.begin;
}

/// The earliest name in `names` that was given before; nullptr if there is none. Reorders `names`.
const Name* find_repeated(std::span<Name> names) {
    if (names.size() <= kPairwiseMembersMax) {
        for (std::size_t later = 1; later < names.size(); ++later)
            for (std::size_t earlier = 0; earlier < later; ++earlier)
                if (names[earlier].text == names[later].text)
                    return &names[later];
        return nullptr;
    }
    std::sort(names.begin(), names.end(), by_length_then_text);
    const Name* found = nullptr;
    for (std::size_t index = 1; index < names.size(); ++index)
        if (names[index - 1].text == names[index].text &&
            (found == nullptr || names[index].begin < found->begin))
            found = &names[index];
    return found;
}

class Parser {
public:
    Parser(std::string_view text, const Limits& limits, std::vector<Node>& nodes)
        : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()), limits_(limits),
          nodes_(nodes) {}

    /// False: `error()` says why.
    bool run() {
        do {
            if (!read_value())
                return false;
        } while (open_ != kNone);
        skip_space();
        if (at_ != end_)
            return refuse(at_, "there is text after the value");
        return true;
    }

    [[nodiscard]] Error& error() { return error_; }

private:
    // One value, and after it whatever closes containers, up to where the next value is expected.
    bool read_value() {
        skip_space();
        if (at_ == end_)
            return refuse(at_, "it ends where a value was expected");
        bool is_open = false;
        switch (*at_) {
        case '{':
        case '[':
            if (!read_opening(is_open))
                return false;
            break;
        case '"':
            if (!read_string())
                return false;
            break;
        case 't':
            if (!read_word("true", Kind::kTrue))
                return false;
            break;
        case 'f':
            if (!read_word("false", Kind::kFalse))
                return false;
            break;
        case 'n':
            if (!read_word("null", Kind::kNull))
                return false;
            break;
        default:
            if (!read_number())
                return false;
        }
        return is_open || read_after_value();
    }

    // `{` or `[`, and the first name. `is_open` is false when the container was empty.
    bool read_opening(bool& is_open) {
        const bool is_object = *at_ == '{';
        if (depth_ >= limits_.depth)
            return refuse_size("it is nested deeper than " + std::to_string(limits_.depth) +
                               " levels");
        const std::uint32_t index = static_cast<std::uint32_t>(nodes_.size());
        if (!add(is_object ? Kind::kObject : Kind::kArray, at_, at_ + 1, false))
            return false;
        ++at_;
        ++depth_;
        nodes_[index].next = open_;
        open_ = index;
        skip_space();
        if (at_ != end_ && *at_ == (is_object ? '}' : ']')) {
            is_open = false;
            return close();
        }
        is_open = true;
        if (!is_object)
            return true;
        if (at_ == end_ || *at_ != '"')
            return refuse(at_, "expected a member's name in quotes, or '}'");
        return read_name();
    }

    bool read_after_value() {
        while (open_ != kNone) {
            const bool is_object = nodes_[open_].kind == Kind::kObject;
            ++nodes_[open_].size;
            skip_space();
            if (at_ != end_ && *at_ == ',') {
                ++at_;
                if (!is_object)
                    return true;
                skip_space();
                if (at_ == end_ || *at_ != '"')
                    return refuse(at_, "expected a member's name in quotes after ','");
                return read_name();
            }
            if (at_ == end_ || *at_ != (is_object ? '}' : ']'))
                return refuse(at_, is_object ? "expected ',' or '}' after a member"
                                             : "expected ',' or ']' after an element");
            if (!close())
                return false;
        }
        return true;
    }

    bool read_name() {
        if (!read_string())
            return false;
        skip_space();
        if (at_ == end_ || *at_ != ':')
            return refuse(at_, "expected ':' after a member's name");
        ++at_;
        return true;
    }

    // At the closing bracket of the innermost container.
    bool close() {
        ++at_;
        --depth_;
        Node& node = nodes_[open_];
        const std::uint32_t index = open_;
        open_ = node.next;
        node.end = offset(at_);
        node.next = static_cast<std::uint32_t>(nodes_.size());
        return node.kind != Kind::kObject || node.size < 2 || check_names(index);
    }

    bool check_names(std::uint32_t object) {
        const std::uint32_t size = nodes_[object].size;
        std::array<Name, kPairwiseMembersMax> few;
        std::vector<Name> many;
        if (size > kPairwiseMembersMax)
            many.resize(size);
        const std::span<Name> names =
            size > kPairwiseMembersMax ? std::span<Name>(many) : std::span<Name>(few).first(size);
        std::vector<std::string> unescaped; // reserved whole: views into it stay good
        std::uint32_t key = object + 1;
        for (Name& name : names) {
            const Node& node = nodes_[key];
            name = {.text = {begin_ + node.begin + 1, node.end - node.begin - 2},
                    .begin = node.begin};
            if (node.escaped) {
                unescaped.reserve(size);
                name.text = unescaped.emplace_back(internal::unescape(name.text));
            }
            key = nodes_[key + 1].next;
        }
        const Name* repeated = find_repeated(names);
        if (repeated == nullptr)
            return true;
        error_ = {.code = ErrorCode::kInvalidRequest,
                  .message = "a member is given twice in one object",
                  .field = std::string(shortened(repeated->text)),
                  .position = repeated->begin};
        return false;
    }

    static std::string_view shortened(std::string_view text) {
        if (text.size() <= kFieldBytesMax)
            return text;
        std::size_t length = kFieldBytesMax;
        while ((static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U)
            --length;
        return text.substr(0, length);
    }

    bool read_string() {
        const char* const start = at_;
        bool escaped = false;
        ++at_;
        while (true) {
            at_ = internal::find_special(at_, end_);
            if (at_ == end_)
                return refuse(start, "a string is not closed");
            if (*at_ == '"')
                break;
            if (*at_ != '\\')
                return refuse(at_, "a control character stands in a string; it must be escaped");
            escaped = true;
            if (!read_escape())
                return false;
        }
        ++at_;
        return add(Kind::kString, start, at_, escaped);
    }

    bool read_escape() {
        const char* const start = at_;
        if (end_ - at_ < 2)
            return refuse(start, "a string is not closed");
        const char what = at_[1];
        at_ += 2;
        if (what != 'u') {
            if (std::string_view("\"\\/bfnrt").find(what) == std::string_view::npos)
                return refuse(start, "a string has an unknown escape");
            return true;
        }
        const int unit = read_unit();
        if (unit < 0)
            return refuse(start, "a \\u escape needs four hexadecimal digits");
        if (unit < 0xD800 || unit > 0xDFFF)
            return true;
        if (unit <= 0xDBFF && end_ - at_ >= 2 && at_[0] == '\\' && at_[1] == 'u') {
            at_ += 2;
            const int low = read_unit();
            if (low >= 0xDC00 && low <= 0xDFFF)
                return true;
        }
        return refuse(start, "a \\u escape is half of a surrogate pair");
    }

    // Four hexadecimal digits; -1 if they are none.
    int read_unit() {
        if (end_ - at_ < 4)
            return -1;
        int unit = 0;
        for (int index = 0; index < 4; ++index) {
            const int digit = hex_digit(at_[index]);
            if (digit < 0)
                return -1;
            unit = unit * 16 + digit;
        }
        at_ += 4;
        return unit;
    }

    bool read_word(std::string_view word, Kind kind) {
        if (!std::string_view(at_, end_).starts_with(word))
            return refuse(at_, "expected a value");
        at_ += word.size();
        return add(kind, at_ - word.size(), at_, false);
    }

    bool read_number() {
        const char* const start = at_;
        if (*at_ == '-')
            ++at_;
        else if (!is_digit(*at_))
            return refuse(at_, "expected a value");
        if (at_ != end_ && *at_ == '0') {
            ++at_;
            if (at_ != end_ && is_digit(*at_))
                return refuse(start, "a number must not begin with a zero");
        } else if (!read_digits()) {
            return refuse(at_, "a number needs a digit after '-'");
        }
        if (at_ != end_ && *at_ == '.') {
            ++at_;
            if (!read_digits())
                return refuse(at_, "a number needs a digit after '.'");
        }
        if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
            ++at_;
            if (at_ != end_ && (*at_ == '+' || *at_ == '-'))
                ++at_;
            if (!read_digits())
                return refuse(at_, "a number needs a digit in its exponent");
        }
        return add(Kind::kNumber, start, at_, false);
    }

    bool read_digits() {
        const char* const start = at_;
        while (at_ != end_ && is_digit(*at_))
            ++at_;
        return at_ != start;
    }

    void skip_space() {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t'))
            ++at_;
    }

    bool add(Kind kind, const char* begin, const char* end, bool escaped) {
        if (nodes_.size() >= limits_.nodes)
            return refuse_size("it has more than " + std::to_string(limits_.nodes) + " values");
        nodes_.push_back({.begin = offset(begin),
                          .end = offset(end),
                          .next = static_cast<std::uint32_t>(nodes_.size()) + 1,
                          .size = 0,
                          .kind = kind,
                          .escaped = escaped});
        return true;
    }

    [[nodiscard]] std::uint32_t offset(const char* at) const {
        return static_cast<std::uint32_t>(at - begin_);
    }

    [[gnu::cold]] bool refuse(const char* at, std::string_view reason) {
        error_ = {.code = ErrorCode::kInvalidRequest,
                  .message = "the body is not valid JSON: " + std::string(reason),
                  .position = static_cast<std::size_t>(at - begin_)};
        return false;
    }

    [[gnu::cold]] bool refuse_size(std::string reason) {
        error_ = {.code = ErrorCode::kTooLarge,
                  .message = "the JSON is too large: " + std::move(reason),
                  .position = static_cast<std::size_t>(at_ - begin_)};
        return false;
    }

    const char* begin_;
    const char* at_;
    const char* end_;
    const Limits& limits_;
    std::vector<Node>& nodes_;
    std::uint32_t open_ = kNone; // the innermost open container
    std::uint32_t depth_ = 0;
    Error error_;
};

} // namespace

Result<Document> parse(std::string_view text, const Limits& limits) {
    if (text.size() > std::min<std::size_t>(limits.bytes, kNone - 1))
        return fail(ErrorCode::kTooLarge,
                    "the JSON is too large: it has more than " +
                        std::to_string(std::min<std::size_t>(limits.bytes, kNone - 1)) + " bytes");
    const auto refuse = [](std::size_t at, std::string_view reason) {
        return std::unexpected(
            Error{.code = ErrorCode::kInvalidRequest,
                  .message = "the body is not valid JSON: " + std::string(reason),
                  .position = at});
    };
    if (text.empty())
        return refuse(0, "it is empty");
    if (text.starts_with("\xEF\xBB\xBF"))
        return refuse(0, "it begins with a byte-order mark");
    if (!simdjson::validate_utf8(text.data(), text.size()))
        return refuse(first_invalid_utf8(text), "it is not valid UTF-8");
    Document document;
    document.text_ = text;
    document.nodes_.reserve(std::min(text.size() / 8 + 8, kReservedNodesMax));
    Parser parser(text, limits, document.nodes_);
    if (!parser.run())
        return std::unexpected(std::move(parser.error()));
    return document;
}

std::size_t plain_string_length(std::string_view text) {
    const std::size_t length = text.find('"');
    if (length == std::string_view::npos)
        return length;
    bool is_ascii = true;
    bool is_plain = true;
    for (const char c : text.substr(0, length)) { // without a branch, for the vectoriser
        const auto byte = static_cast<unsigned char>(c);
        is_plain &= byte >= 0x20 && byte != '\\';
        is_ascii &= byte < 0x80;
    }
    is_plain = is_plain && (is_ascii || simdjson::validate_utf8(text.data(), length));
    return is_plain ? length : std::string_view::npos;
}

} // namespace larder::json
