// Structured log lines in pino's JSON form, or readable ones for a terminal. A line is formatted on
// its own thread into a buffer of that thread; one writer gathers the buffers and writes. Lines are
// never mixed, never block their thread on the reader, and never carry a key or a prompt. Any
// thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder::log {

enum class Level : std::uint8_t {
    kTrace = 10,
    kDebug = 20,
    kInfo = 30,
    kWarn = 40,
    kError = 50,
    kFatal = 60,
};

enum class Format : std::uint8_t { kJson, kPretty };

struct Settings {
    Level level = Level::kInfo;
    Format format = Format::kJson;
    int fd = 1;
};

/// Starts the writer. Before it, and after stop(), lines go to stderr at once.
void start(const Settings& settings);
/// Writes everything and ends the writer. A reader that takes nothing for two seconds is given up.
void stop();
void set_level(Level level);
[[nodiscard]] bool enabled(Level level);
/// Waits until what was logged so far is written; false after `limit`.
bool flush(std::chrono::milliseconds limit);
/// For start-up and fatal messages: logs, and returns when the line is written (or after a second).
void write_now(Level level, std::string_view message);
/// Lines lost so far, because a buffer was full or the output failed.
[[nodiscard]] std::uint64_t dropped_lines();

/// True for a field whose value must never be seen: the one redaction list. `name` is compared
/// without case, "-" and "_".
constexpr bool is_secret(std::string_view name) {
    constexpr std::string_view kSecrets[] = {
        "authorization", "proxyauthorization",
        "cookie",        "setcookie",
        "apikey",        "xapikey",
        "xgoogapikey",   "key",
        "token",         "accesstoken",
        "refreshtoken",  "idtoken",
        "secret",        "clientsecret",
        "password",      "credential",
        "credentials",   "prompt",
        "messages",      "content",
        "input",         "answer",
        "completion",    "body",
    };
    for (const std::string_view secret : kSecrets) {
        std::size_t matched = 0;
        bool differs = false;
        for (const char c : name) {
            if (c == '-' || c == '_')
                continue;
            const char plain = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            differs = differs || matched == secret.size() || secret[matched] != plain;
            matched += differs ? 0 : 1;
        }
        if (!differs && matched == secret.size())
            return true;
    }
    return false;
}

/// A field's name: a literal, checked while compiling.
class Name {
public:
    template <std::size_t kSize>
    consteval Name(const char (&literal)[kSize]) // NOLINT(google-explicit-constructor)
        : text_(literal, kSize - 1), secret_(is_secret(text_)) {
        for (const char c : text_) {
            if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=')
                throw "a field's name is plain ASCII without quotes and spaces";
        }
    }
    [[nodiscard]] std::string_view text() const { return text_; }
    [[nodiscard]] bool is_secret_field() const { return secret_; }

private:
    std::string_view text_;
    bool secret_;
};

/// One line; it is handed over when it ends, on the thread that began it:
/// `Line(Level::kInfo, "request").text("reqId", id).number("status", 200);`
/// A text is cut after 4 KB; fields after 16 KB of line are left out.
class Line {
public:
    Line(Level level, std::string_view message);
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    Line& text(Name name, std::string_view value);
    Line& number(Name name, std::int64_t value);
    Line& real(Name name, double value); // null where it is not finite
    Line& flag(Name name, bool value);
    /// Microseconds, shown as milliseconds: 1250 as 1.25. Faster than real().
    Line& milliseconds(Name name, std::int64_t microseconds);

private:
    bool begin_field(Name name);

    std::string* out_ = nullptr; // null: not enabled
    std::string own_;            // for a line within a line
    Level level_;
    Format format_;
};

} // namespace larder::log
