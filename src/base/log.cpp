// Formats log lines. Values are escaped and bounded here, and secret fields replaced; nothing is
// allocated once a thread's scratch string has grown. Any thread.
#include "base/log.hpp"

#include "base/log_writer.hpp"
#include "base/time.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include <unistd.h>

namespace larder::log {

namespace {

constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kLineBytesMax = 16 * 1024;
constexpr std::string_view kRedacted = "[redacted]";
constexpr std::string_view kReplacement = "\xef\xbf\xbd"; // U+FFFD

void append_number(std::string& out, std::int64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, end);
}

constexpr std::array<bool, 256> make_plain() {
    std::array<bool, 256> plain{};
    for (unsigned c = 0x20; c < 0x7f; ++c)
        plain[c] = c != '"' && c != '\\';
    return plain;
}

constexpr std::array<bool, 256> kPlain = make_plain();

bool is_plain(char c) {
    return kPlain[static_cast<unsigned char>(c)];
}

void append_unicode_escape(std::string& out, unsigned code) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += "\\u00";
    out += kDigits[code >> 4U & 15U];
    out += kDigits[code & 15U];
}

void append_ascii_escape(std::string& out, char c) {
    switch (c) {
    case '"':
        out += "\\\"";
        break;
    case '\\':
        out += "\\\\";
        break;
    case '\n':
        out += "\\n";
        break;
    case '\r':
        out += "\\r";
        break;
    case '\t':
        out += "\\t";
        break;
    default:
        append_unicode_escape(out, static_cast<unsigned char>(c));
    }
}

/// The length of the well-formed UTF-8 sequence at the start of `text`, which begins with a byte
/// above 0x7f; 0 where there is none (RFC 3629, section 4).
std::size_t sequence_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length)
        return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80)
            return 0;
    }
    const unsigned second = byte(1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return length;
}

/// Escapes for JSON; also what could steer a terminal (C0, DEL, C1), and bytes that are no UTF-8.
void append_escaped(std::string& out, std::string_view text) {
    while (!text.empty()) {
        std::size_t plain = 0;
        while (plain < text.size() && is_plain(text[plain]))
            ++plain;
        out.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.empty())
            return;
        const auto first = static_cast<unsigned char>(text[0]);
        if (first < 0x80) {
            append_ascii_escape(out, text[0]);
            text.remove_prefix(1);
            continue;
        }
        const std::size_t length = sequence_length(text);
        if (length == 0)
            out += kReplacement;
        else if (first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0)
            append_unicode_escape(out, static_cast<unsigned char>(text[1]));
        else
            out.append(text.substr(0, length));
        text.remove_prefix(length == 0 ? 1 : length);
    }
}

/// Escaped and bounded; a longer text ends in an ellipsis.
void append_bounded(std::string& out, std::string_view text) {
    if (text.size() <= kTextBytesMax)
        return append_escaped(out, text);
    std::size_t end = kTextBytesMax; // not within a character
    while (end > kTextBytesMax - 4 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80)
        --end;
    append_escaped(out, text.substr(0, end));
    out += "\xe2\x80\xa6";
}

/// `,"pid":1,"hostname":"h","msg":"`, made once.
const std::string& process_part() {
    static const std::string part = [] {
        char name[256] = {};
        if (::gethostname(name, sizeof name - 1) != 0)
            name[0] = '\0';
        std::string made = ",\"pid\":";
        append_number(made, ::getpid());
        made += ",\"hostname\":\"";
        append_escaped(made, name);
        made += "\",\"msg\":\"";
        return made;
    }();
    return part;
}

std::string_view label_of(Level level) {
    switch (level) {
    case Level::kTrace:
        return " TRACE ";
    case Level::kDebug:
        return " DEBUG ";
    case Level::kInfo:
        return " INFO  ";
    case Level::kWarn:
        return " WARN  ";
    case Level::kError:
        return " ERROR ";
    case Level::kFatal:
        return " FATAL ";
    }
    return " ";
}

bool needs_quotes(std::string_view value) {
    if (value.empty())
        return true;
    for (const char c : value) {
        if (!is_plain(c) || c == ' ' || c == '=')
            return true;
    }
    return false;
}

} // namespace

bool enabled(Level level) {
    return level >= internal::current_level();
}

Line::Line(Level level, std::string_view message)
    : level_(level), format_(internal::current_format()) {
    if (!enabled(level))
        return;
    out_ = internal::borrow_scratch();
    if (out_ == nullptr)
        out_ = &own_;
    const std::int64_t now_ms = SystemClock().epoch_ms();
    if (format_ == Format::kJson) {
        *out_ += "{\"level\":";
        append_number(*out_, static_cast<int>(level));
        *out_ += ",\"time\":";
        append_number(*out_, now_ms);
        *out_ += process_part();
        append_bounded(*out_, message);
        *out_ += '"';
    } else {
        *out_ += rfc3339(now_ms);
        *out_ += label_of(level);
        append_bounded(*out_, message);
    }
}

Line::~Line() {
    if (out_ == nullptr)
        return;
    *out_ += format_ == Format::kJson ? "}\n" : "\n";
    internal::hand_over(*out_, level_ >= Level::kWarn);
    if (out_ != &own_)
        internal::give_back_scratch();
}

bool Line::begin_field(Name name) {
    if (out_ == nullptr || out_->size() > kLineBytesMax)
        return false;
    if (format_ == Format::kJson) {
        *out_ += ",\"";
        *out_ += name.text();
        *out_ += "\":";
    } else {
        *out_ += ' ';
        *out_ += name.text();
        *out_ += '=';
    }
    return true;
}

Line& Line::text(Name name, std::string_view value) {
    if (!begin_field(name))
        return *this;
    if (name.is_secret_field())
        value = kRedacted;
    if (format_ == Format::kPretty && !needs_quotes(value)) {
        append_bounded(*out_, value);
        return *this;
    }
    *out_ += '"';
    append_bounded(*out_, value);
    *out_ += '"';
    return *this;
}

Line& Line::number(Name name, std::int64_t value) {
    if (begin_field(name))
        append_number(*out_, value);
    return *this;
}

Line& Line::real(Name name, double value) {
    if (!begin_field(name))
        return *this;
    if (!std::isfinite(value)) {
        *out_ += "null";
        return *this;
    }
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out_->append(digits, end);
    return *this;
}

Line& Line::flag(Name name, bool value) {
    if (begin_field(name))
        *out_ += value ? "true" : "false";
    return *this;
}

Line& Line::milliseconds(Name name, std::int64_t microseconds) {
    if (!begin_field(name))
        return *this;
    if (microseconds < 0) {
        *out_ += '-';
        microseconds = microseconds == INT64_MIN ? INT64_MAX : -microseconds;
    }
    append_number(*out_, microseconds / 1000);
    auto rest = static_cast<unsigned>(microseconds % 1000);
    if (rest == 0)
        return *this;
    *out_ += '.';
    for (unsigned place = 100; rest > 0; place /= 10) {
        *out_ += static_cast<char>('0' + rest / place);
        rest %= place;
    }
    return *this;
}

void write_now(Level level, std::string_view message) {
    {
        Line(level, message);
    }
    flush(std::chrono::seconds(1));
}

} // namespace larder::log
