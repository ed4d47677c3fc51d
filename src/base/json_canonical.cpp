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
#include <deque>

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
    CanonicalWriter(std::string& out, const CanonicalOptions& options)
        : out_(out), options_(options) {}

    void write(Value value, Order order, bool is_top) {
        switch (value.kind()) {
        case Kind::kNull:
        case Kind::kTrue:
        case Kind::kFalse:
            out_.append(value.raw());
            return;
        case Kind::kNumber:
            write_number(out_, value);
            return;
        case Kind::kString:
            if (const auto plain = value.as_plain_string())
                out_.append(value.raw()); // the parser has seen that nothing in it needs an escape
            else
                write_string(out_, *value.as_string());
            return;
        case Kind::kArray:
            write_array(value, order);
            return;
        case Kind::kObject:
            write_object(value, order, is_top);
        }
    }

private:
    struct Member {
        std::string_view name; // unescaped
        Value value;
    };

    void write_array(Value array, Order order) {
        out_.push_back('[');
        bool is_first = true;
        array.for_each_element([&](Value element) {
            if (!is_first)
                out_.push_back(',');
            is_first = false;
            write(element, order, false);
            return true;
        });
        out_.push_back(']');
    }

    void write_object(Value object, Order order, bool is_top) {
        const std::size_t base = members_.size();
        const std::size_t kept_names = names_.size();
        collect(object, is_top);
        const auto members = [&] { return std::span(members_).subspan(base); };
        if (order == Order::kFree)
            std::ranges::sort(members(), {}, &Member::name);
        out_.push_back('{');
        const std::size_t count = members().size();
        for (std::size_t index = 0; index < count; ++index) {
            const Member member = members_[base + index]; // inner objects grow members_
            if (index > 0)
                out_.push_back(',');
            write_string(out_, member.name);
            out_.push_back(':');
            write(member.value, order_inside(order, member.name), false);
        }
        out_.push_back('}');
        members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(base), members_.end());
        names_.resize(kept_names);
    }

    [[nodiscard]] Order order_inside(Order outer, std::string_view name) const {
        return outer == Order::kFree && options_.order ? options_.order(name) : outer;
    }

    void collect(Value object, bool is_top) {
        const char* const text = object.raw().data();
        const std::size_t length = object.raw().size();
        object.for_each_member([&](std::string_view name, Value value) {
            if (is_top && std::ranges::find(options_.skip_top, name) != options_.skip_top.end())
                return true;
            const bool is_in_text =
                std::less_equal<>{}(text, name.data()) && std::less<>{}(name.data(), text + length);
            members_.push_back({is_in_text ? name : names_.emplace_back(name), value});
            return true;
        });
    }

    std::string& out_;
    const CanonicalOptions& options_;
    std::vector<Member> members_;   // of all objects that are being written, the innermost last
    std::deque<std::string> names_; // unescaped ones that members_ looks at
};

} // namespace

void write_canonical(std::string& out, Value value, const CanonicalOptions& options) {
    CanonicalWriter(out, options).write(value, Order::kFree, true);
}

} // namespace larder::json
