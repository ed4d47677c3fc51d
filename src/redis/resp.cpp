#include "redis/resp.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace larder::redis {
namespace {

constexpr std::size_t kLineMax = 64UL * 1024;
constexpr std::size_t kReserveMax = 1024UL * 1024; // what is announced may never come
constexpr std::size_t kItemsReserveMax = 64;
constexpr std::size_t kVerbatimHead = 4; // "txt:"

using Kind = Reply::Kind;

std::unexpected<Error> broken(std::string_view why) {
    return std::unexpected(Error{.code = ErrorCode::kStore,
                                 .message = "the server's answer is no RESP: " + std::string(why),
                                 .detail = "protocol"});
}

template <class Number> bool read_number(std::string_view text, Number& out) {
    if (text.starts_with('+'))
        text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

Reply text_reply(Kind kind, std::string_view text) {
    return Reply{.kind = kind, .text = std::string(text)};
}

void append_header(std::string& out, char type, std::size_t count) {
    std::array<char, 24> text{};
    text[0] = type;
    char* const end = std::to_chars(text.data() + 1, text.data() + 22, count).ptr;
    end[0] = '\r';
    end[1] = '\n';
    out.append(text.data(), end + 2);
}

} // namespace

void append_command(std::string& out, const Command& command) {
    append_header(out, '*', command.size());
    for (std::size_t i = 0; i < command.size(); ++i) {
        const std::string_view argument = command[i];
        append_header(out, '$', argument.size());
        (out += argument) += "\r\n";
    }
}

Result<bool> ReplyParser::feed(std::string_view& input, Reply& out) {
    while (true) {
        if (in_text_) {
            if (!take_text(input))
                return false;
            if (text_.text.back() != '\n' || text_.text[text_.text.size() - 2] != '\r')
                return broken("a text has no end");
            text_.text.resize(text_.text.size() - 2);
            if (verbatim_)
                text_.text.erase(0, kVerbatimHead);
            in_text_ = false;
            if (put(std::exchange(text_, {}), out))
                return true;
            continue;
        }
        std::string_view line;
        if (!take_line(input, line)) {
            if (line_.size() > kLineMax)
                return broken("a line is too long");
            return false;
        }
        if (line.size() < 2 || line.size() > kLineMax || !line.ends_with('\r'))
            return broken("a line has no end");
        line.remove_suffix(1);
        auto whole = begin(line, out);
        line_.clear();
        if (!whole || *whole)
            return whole;
    }
}

/// False: the whole input went into `line_`. The line comes without its '\n'.
bool ReplyParser::take_line(std::string_view& input, std::string_view& line) {
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) {
        line_.append(input.substr(0, kLineMax + 1)); // more is an error anyway
        input = {};
        return false;
    }
    line = input.substr(0, end);
    input.remove_prefix(end + 1);
    if (!line_.empty()) {
        line_.append(line.substr(0, kLineMax + 1));
        line = line_;
    }
    return true;
}

bool ReplyParser::take_text(std::string_view& input) {
    const std::size_t taken = std::min(input.size(), text_left_);
    text_.text.append(input.data(), taken);
    input.remove_prefix(taken);
    text_left_ -= taken;
    return text_left_ == 0;
}

Result<bool> ReplyParser::begin(std::string_view line, Reply& out) {
    const char type = line.front();
    const std::string_view rest = line.substr(1);
    switch (type) {
    case '$':
    case '=':
    case '!':
        return begin_text(type, rest, out);
    case '*':
    case '~':
    case '%':
    case '>':
    case '|':
        return begin_items(type, rest, out);
    case ':': {
        Reply reply{.kind = Kind::kInteger};
        if (!read_number(rest, reply.integer))
            return broken("an integer is none");
        return put(std::move(reply), out);
    }
    case '#':
        if (rest != "t" && rest != "f")
            return broken("a boolean is none");
        return put(Reply{.kind = Kind::kInteger, .integer = rest == "t" ? 1 : 0}, out);
    case '_':
        return put(Reply{}, out);
    case '+':
    case '-':
    case ',':
    case '(': {
        LARDER_CHECK(count_bytes(rest.size()));
        const Kind kind = type == '+' ? Kind::kStatus : type == '-' ? Kind::kError : Kind::kText;
        return put(text_reply(kind, rest), out);
    }
    default:
        return broken("a type is unknown");
    }
}

Result<bool> ReplyParser::begin_text(char type, std::string_view count, Reply& out) {
    if (count == "-1" && type == '$')
        return put(Reply{}, out);
    std::size_t size = 0;
    if (!read_number(count, size))
        return broken("a length is none");
    LARDER_CHECK(count_bytes(size));
    verbatim_ = type == '=';
    if (verbatim_ && size < kVerbatimHead)
        return broken("a verbatim text has no format");
    text_.kind = type == '!' ? Kind::kError : Kind::kText;
    text_left_ = size + 2;
    text_.text.reserve(std::min(text_left_, kReserveMax));
    in_text_ = true;
    return false;
}

Result<bool> ReplyParser::begin_items(char type, std::string_view count, Reply& out) {
    if (count == "-1" && type == '*')
        return put(Reply{}, out);
    std::size_t size = 0;
    if (!read_number(count, size) || size > limits_.items)
        return broken("a count is none, or too large");
    if (type == '%' || type == '|')
        size *= 2;
    items_ += size;
    if (items_ > limits_.items)
        return broken("it has too many items");
    if (type == '>' && (!stack_.empty() || size == 0))
        return broken("a push is empty or stands inside a reply");
    Frame frame;
    frame.reply.kind = Kind::kArray;
    frame.left = size;
    frame.attribute = type == '|';
    frame.push = type == '>';
    if (size == 0) {
        if (frame.attribute)
            return false;
        return put(std::move(frame.reply), out);
    }
    if (stack_.size() == limits_.depth)
        return broken("it is too deep");
    frame.reply.items.reserve(std::min(size, kItemsReserveMax));
    stack_.push_back(std::move(frame));
    return false;
}

/// Puts a whole value where it belongs; true when the reply is whole with it.
bool ReplyParser::put(Reply reply, Reply& out) {
    bool is_push = false;
    while (!stack_.empty()) {
        Frame& frame = stack_.back();
        if (!frame.attribute)
            frame.reply.items.push_back(std::move(reply));
        if (--frame.left > 0)
            return false;
        const bool was_attribute = frame.attribute;
        is_push = frame.push;
        reply = std::move(frame.reply);
        stack_.pop_back();
        if (was_attribute)
            return false;
    }
    was_push_ = is_push;
    out = std::move(reply);
    items_ = 0;
    bytes_ = 0;
    return true;
}

Result<void> ReplyParser::count_bytes(std::size_t bytes) {
    if (bytes > limits_.bytes - bytes_)
        return broken("it is too large");
    bytes_ += bytes;
    return {};
}

} // namespace larder::redis
