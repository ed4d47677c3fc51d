// A position on a JSON document's tape: loops over members and elements without a call through a
// pointer for each. The Document must outlive it. Pure, any thread.
#pragma once

#include "base/json.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::protocol {

class Members;
class Elements;

class Cursor {
public:
    explicit Cursor(const json::Document& document, std::uint32_t index = 0)
        : document_(&document), index_(index) {}

    [[nodiscard]] json::Kind kind() const { return node().kind; }
    [[nodiscard]] bool is(json::Kind kind) const { return node().kind == kind; }
    [[nodiscard]] bool is_null() const { return is(json::Kind::kNull); }
    [[nodiscard]] bool is_string() const { return is(json::Kind::kString); }
    [[nodiscard]] bool is_array() const { return is(json::Kind::kArray); }
    [[nodiscard]] bool is_object() const { return is(json::Kind::kObject); }
    [[nodiscard]] std::uint32_t size() const { return node().size; }
    [[nodiscard]] std::string_view raw() const {
        return document_->text().substr(node().begin, node().end - node().begin);
    }
    /// A string's characters between its quotes, still escaped.
    [[nodiscard]] std::string_view characters() const {
        return document_->text().substr(node().begin + 1, node().end - node().begin - 2);
    }
    [[nodiscard]] json::Value value() const { return json::Value(document_, index_); }
    /// Appends the string unescaped; nothing for any other kind.
    void append_string(std::string& out) const {
        if (!is_string())
            return;
        if (!node().escaped)
            out += characters();
        else if (out.empty())
            out = value().as_string().value_or(std::string());
        else
            out += value().as_string().value_or(std::string());
    }
    [[nodiscard]] std::string string() const {
        std::string out;
        append_string(out);
        return out;
    }
    /// Whether this is a string with these characters.
    [[nodiscard]] bool equals(std::string_view text) const {
        return is_string() && (node().escaped ? string() == text : characters() == text);
    }
    [[nodiscard]] bool is_non_empty_string() const { return is_string() && !characters().empty(); }
    /// A count: 0 where it is no integer or below 0, and never over `kMostTokens`.
    [[nodiscard]] std::int64_t count() const {
        constexpr std::int64_t kMostTokens = 1'000'000'000'000;
        if (!is(json::Kind::kNumber))
            return 0;
        const std::string_view digits = raw();
        std::int64_t number = 0;
        const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        if (read.ec != std::errc() || read.ptr != digits.data() + digits.size())
            number = value().as_int().value_or(0); // spelled as 3.0 or 3e0
        return std::clamp<std::int64_t>(number, 0, kMostTokens);
    }
    [[nodiscard]] std::optional<Cursor> find(std::string_view name) const;
    /// `find`, but a null member counts as absent.
    [[nodiscard]] std::optional<Cursor> find_set(std::string_view name) const;
    [[nodiscard]] Members members() const;   // none unless this is an object
    [[nodiscard]] Elements elements() const; // none unless this is an array

private:
    [[nodiscard]] const json::Node& node() const { return document_->node(index_); }
    const json::Document* document_;
    std::uint32_t index_;
    friend class Members;
    friend class Elements;
};

struct Member {
    std::string_view name; // unescaped; only until the loop goes on
    Cursor value;
};

class Members {
public:
    struct End {};
    class Iterator {
    public:
        explicit Iterator(Cursor key, std::uint32_t left) : key_(key), left_(left) {}
        [[nodiscard]] Member operator*() {
            const Cursor value(*key_.document_, key_.index_ + 1);
            if (!key_.node().escaped)
                return {key_.characters(), value};
            name_ = key_.string();
            return {name_, value};
        }
        Iterator& operator++() {
            key_.index_ = key_.document_->node(key_.index_ + 1).next;
            --left_;
            return *this;
        }
        bool operator==(End) const { return left_ == 0; }

    private:
        Cursor key_;
        std::uint32_t left_;
        std::string name_;
    };
    explicit Members(Cursor object) : object_(object) {}
    [[nodiscard]] Iterator begin() const {
        return Iterator(Cursor(*object_.document_, object_.index_ + 1),
                        object_.is_object() ? object_.size() : 0);
    }
    [[nodiscard]] End end() const { return {}; }

private:
    Cursor object_;
};

class Elements {
public:
    struct End {};
    class Iterator {
    public:
        explicit Iterator(Cursor element, std::uint32_t left) : element_(element), left_(left) {}
        [[nodiscard]] Cursor operator*() const { return element_; }
        Iterator& operator++() {
            element_.index_ = element_.node().next;
            --left_;
            return *this;
        }
        bool operator==(End) const { return left_ == 0; }

    private:
        Cursor element_;
        std::uint32_t left_;
    };
    explicit Elements(Cursor array) : array_(array) {}
    [[nodiscard]] Iterator begin() const {
        return Iterator(Cursor(*array_.document_, array_.index_ + 1),
                        array_.is_array() ? array_.size() : 0);
    }
    [[nodiscard]] End end() const { return {}; }

private:
    Cursor array_;
};

inline Members Cursor::members() const {
    return Members(*this);
}
inline Elements Cursor::elements() const {
    return Elements(*this);
}

inline std::optional<Cursor> Cursor::find(std::string_view name) const {
    for (const Member& member : members()) {
        if (member.name == name)
            return member.value;
    }
    return std::nullopt;
}

inline std::optional<Cursor> Cursor::find_set(std::string_view name) const {
    auto found = find(name);
    return found && !found->is_null() ? found : std::nullopt;
}

} // namespace larder::protocol
