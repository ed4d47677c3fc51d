// The canonical form of a JSON value: equal meaning gives equal bytes. Pure, any thread. Recursion
// is as deep as the value, which the parser's limit bounds.
//
// Numbers: what is integral and beyond 2^53 in magnitude, in any spelling, is written by its exact
// digits with the trailing zeros as an exponent ("1e20" for 1e20, 100000000000000000000 and 1E+20;
// "9007199254740993" stays apart from "9007199254740992"); 1e400 is such an integer too. All other
// numbers are written as the double that they are read as; what is too large for a double without
// being integral by its exact digits also; an exponent of ten digits and more stays as it was
// written, in lower case.
#include "base/json.hpp"

#include "base/json_internal.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <list>

namespace larder::json {

namespace {

// 2^53, the first integer above which doubles leave integers out.
constexpr std::string_view kLastExactDigits = "9007199254740992";
constexpr double kLastExact = 9007199254740992.0;

/// Up to 15 digits and a sign: its own canonical form, but for -0.
bool is_short_integer(std::string_view token) {
    constexpr std::size_t kShortMax = 15;
    return token.size() <= kShortMax && token != "-0" &&
           token.find_first_of(".eE") == std::string_view::npos;
}

bool is_beyond_exact(const internal::Decimal& decimal) {
    if (!decimal.is_integral())
        return false;
    const auto magnitude = decimal.magnitude();
    const auto bound = static_cast<std::int64_t>(kLastExactDigits.size());
    return magnitude != bound ? magnitude > bound : decimal.digits > kLastExactDigits;
}

void write_digits(std::string& out, const internal::Decimal& decimal) {
    if (decimal.negative)
        out.push_back('-');
    out.append(decimal.digits);
    if (decimal.exponent != 0)
        out.append("e").append(std::to_string(decimal.exponent));
}

void write_number(std::string& out, Value value) {
    const std::string_view token = value.raw();
    if (is_short_integer(token)) {
        out.append(token);
        return;
    }
    const internal::Decimal decimal = internal::take_apart(token);
    if (decimal.is_zero()) {
        out.push_back('0');
        return;
    }
    if (!decimal.out_of_hand && is_beyond_exact(decimal)) {
        write_digits(out, decimal);
        return;
    }
    const std::optional<double> number = value.as_double();
    if (!number) {
        if (decimal.out_of_hand)
            std::ranges::transform(token, std::back_inserter(out),
                                   [](char c) { return c == 'E' ? 'e' : c; });
        else
            write_digits(out, decimal);
        return;
    }
    if (*number >= kLastExact || *number <= -kLastExact) { // the double is integral, the text isn't
        std::array<char, 32> buffer;
        const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), *number);
        write_digits(out, internal::take_apart({buffer.data(), written.ptr}));
        return;
    }
    write_double(out, *number);
}

class CanonicalWriter {
public:
    CanonicalWriter(std::string& out, const Document& document, const CanonicalOptions& options)
        : out_(out), document_(document), options_(options) {}

    void write(std::uint32_t index, Order order, bool is_top) {
        const Node& node = document_.node(index);
        switch (node.kind) {
        case Kind::kNull:
        case Kind::kTrue:
        case Kind::kFalse:
            out_.append(raw(node));
            return;
        case Kind::kNumber:
            write_number(out_, Value(&document_, index));
            return;
        case Kind::kString:
            if (node.escaped)
                write_string(out_, internal::unescape(inner(node)));
            else // the parser has seen that nothing in it needs an escape
                out_.append(raw(node));
            return;
        case Kind::kArray:
            write_array(index, order);
            return;
        case Kind::kObject:
            write_object(index, order, is_top);
        }
    }

private:
    struct Member {
        std::string_view name; // unescaped
        std::uint32_t key = 0; // the name's node; the value's is the next
    };

    [[nodiscard]] std::string_view raw(const Node& node) const {
        return document_.text().substr(node.begin, node.end - node.begin);
    }

    [[nodiscard]] std::string_view inner(const Node& string) const {
        return document_.text().substr(string.begin + 1, string.end - string.begin - 2);
    }

    void write_array(std::uint32_t array, Order order) {
        const std::uint32_t end = document_.node(array).next;
        out_.push_back('[');
        for (std::uint32_t index = array + 1; index < end; index = document_.node(index).next) {
            if (index > array + 1)
                out_.push_back(',');
            write(index, order, false);
        }
        out_.push_back(']');
    }

    void write_object(std::uint32_t object, Order order, bool is_top) {
        const std::size_t base = members_.size();
        collect(object, is_top);
        const std::size_t end = members_.size();
        if (order == Order::kFree)
            std::ranges::sort(std::span(members_).subspan(base), {}, &Member::name);
        out_.push_back('{');
        for (std::size_t index = base; index < end; ++index) {
            const Member member = members_[index]; // inner objects grow members_
            if (index > base)
                out_.push_back(',');
            write(member.key, order, false);
            out_.push_back(':');
            write(member.key + 1, order_inside(order, member.name), false);
        }
        out_.push_back('}');
        members_.resize(base);
    }

    [[nodiscard]] Order order_inside(Order outer, std::string_view name) const {
        return outer == Order::kFree && options_.order ? options_.order(name) : outer;
    }

    void collect(std::uint32_t object, bool is_top) {
        const std::uint32_t end = document_.node(object).next;
        for (std::uint32_t key = object + 1; key < end; key = document_.node(key + 1).next) {
            const Node& node = document_.node(key);
            std::string_view name = inner(node);
            if (node.escaped)
                name = names_.emplace_back(internal::unescape(name));
            const bool is_left_out =
                is_top && std::ranges::find(options_.skip_top, name) != options_.skip_top.end();
            if (!is_left_out)
                members_.push_back({.name = name, .key = key});
        }
    }

    std::string& out_;
    const Document& document_;
    const CanonicalOptions& options_;
    std::vector<Member> members_;  // of all objects that are being written, the innermost last
    std::list<std::string> names_; // unescaped ones that members_ looks at
};

} // namespace

void write_canonical(std::string& out, Value value, const CanonicalOptions& options) {
    out.reserve(out.size() + value.raw().size());
    CanonicalWriter(out, value.document(), options).write(value.index(), Order::kFree, true);
}

} // namespace larder::json
