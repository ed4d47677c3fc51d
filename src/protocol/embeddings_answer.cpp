// Answers with embeddings: split into vectors, which are kept one by one, and put together again.
#include "protocol/answer.hpp"
#include "protocol/embeddings.hpp"

#include <algorithm>
#include <charconv>

namespace larder::protocol {
namespace {

constexpr std::size_t kLargestAround = 4096; // of an answer, with each vector

bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Reads one number (RFC 8259, section 6) and gives its end; 0: there is none at `at`.
std::size_t end_of_number(std::string_view text, std::size_t at) {
    const auto digits = [&] {
        const std::size_t begin = at;
        while (at < text.size() && is_digit(text[at]))
            ++at;
        return at > begin;
    };
    const auto take = [&](std::string_view any) {
        const bool is_there = at < text.size() && any.contains(text[at]);
        at += is_there ? 1 : 0;
        return is_there;
    };
    take("-");
    if (!take("0") && !digits())
        return 0;
    if (take(".") && !digits())
        return 0;
    if (take("eE")) {
        take("+-");
        if (!digits())
            return 0;
    }
    return at;
}

/// An array of numbers, without white space. `end`: behind it, in the text.
struct Numbers {
    std::string compact;
    std::size_t end = 0;
};

/// nullopt where at `at` is no array of numbers, or an empty one.
std::optional<Numbers> read_numbers(std::string_view text, std::size_t at) {
    const auto skip = [&] {
        while (at < text.size() && is_space(text[at]))
            ++at;
    };
    Numbers numbers;
    numbers.compact = "[";
    ++at;
    while (true) {
        skip();
        const std::size_t end = end_of_number(text, at);
        if (end == 0)
            return std::nullopt;
        numbers.compact += text.substr(at, end - at);
        at = end;
        skip();
        if (at >= text.size() || (text[at] != ',' && text[at] != ']'))
            return std::nullopt;
        numbers.compact += text[at];
        if (text[at++] == ']')
            break;
    }
    numbers.end = at;
    return numbers;
}

/// A text with an empty array in the place of each array of numbers: what is left of a large answer
/// is soon parsed. By the place of that array, what it stands for.
struct Reduced {
    struct Place {
        std::size_t at = 0;
        std::string numbers;
    };
    std::string text;
    std::vector<Place> places;

    [[nodiscard]] const std::string* find(std::size_t at) const {
        const auto found = std::ranges::lower_bound(places, at, {}, &Place::at);
        return found != places.end() && found->at == at ? &found->numbers : nullptr;
    }
    /// JSON of a value of the reduced text, compact, with its numbers.
    void append(std::string& out, json::Value value) const {
        auto next = std::ranges::lower_bound(places, value.begin(), {}, &Place::at);
        std::size_t from = value.begin();
        const std::string_view all = text;
        for (; next != places.end() && next->at < value.end(); ++next) {
            compact_to(out, all.substr(from, next->at - from));
            out += next->numbers;
            from = next->at + 2;
        }
        compact_to(out, all.substr(from, value.end() - from));
    }

private:
    /// A piece between arrays never begins or ends inside a string.
    static void compact_to(std::string& out, std::string_view piece) {
        bool in_string = false;
        for (std::size_t at = 0; at < piece.size(); ++at) {
            if (in_string && piece[at] == '\\') {
                out += piece[at++];
            } else if (piece[at] == '"') {
                in_string = !in_string;
            } else if (!in_string && is_space(piece[at])) {
                continue;
            }
            if (at < piece.size())
                out += piece[at];
        }
    }
};

Reduced reduce(std::string_view body) {
    Reduced reduced;
    std::size_t from = 0; // of what is not copied yet
    std::size_t at = 0;
    while (at < body.size()) {
        if (body[at] == '"') {
            for (++at; at < body.size() && body[at] != '"'; ++at)
                at += body[at] == '\\' ? 1 : 0;
        } else if (body[at] == '[') {
            if (auto numbers = read_numbers(body, at)) {
                reduced.text += body.substr(from, at - from);
                reduced.places.push_back({reduced.text.size(), std::move(numbers->compact)});
                reduced.text += "[]";
                from = at = numbers->end;
                continue;
            }
        }
        ++at;
    }
    reduced.text += body.substr(std::min(from, body.size()));
    return reduced;
}

/// One element of `data`: its index and its object as it is kept. An Error says why it can't be.
struct Datum {
    std::size_t index = 0;
    std::string vector;
};

Result<Datum> read_datum(Cursor datum, std::size_t place, const Reduced& reduced, VectorForm form) {
    const auto odd = [](std::string why) {
        return fail(ErrorCode::kProviderUnreadable, std::move(why));
    };
    const auto embedding = datum.find("embedding");
    if (!embedding)
        return odd("an element of its data has no embedding");
    Datum read{.index = place, .vector = "{"};
    for (const Member& member : datum.members()) {
        if (member.name == "index") {
            const auto index = member.value.value().as_int();
            if (!index || *index < 0)
                return odd("an index is no whole number");
            read.index = static_cast<std::size_t>(*index);
        } else if (member.name != "embedding") {
            if (read.vector.size() > 1)
                read.vector += ',';
            json::write_string(read.vector, member.name);
            read.vector += ':';
            reduced.append(read.vector, member.value.value());
        }
    }
    read.vector += read.vector.size() > 1 ? ",\"embedding\":" : "\"embedding\":";
    const std::string* numbers = reduced.find(embedding->value().begin());
    const bool fits = form == VectorForm::kNumbers ? numbers != nullptr
                                                   : embedding->is_non_empty_string() &&
                                                         !embedding->characters().contains('\\');
    if (!fits)
        return odd("a vector is not written as it was asked for");
    read.vector += numbers != nullptr ? std::string_view(*numbers) : embedding->raw();
    read.vector += '}';
    return read;
}

Result<std::vector<std::string>> read_data(Cursor data, std::size_t count, const Reduced& reduced,
                                           VectorForm form) {
    if (data.size() != count)
        return fail(ErrorCode::kProviderUnreadable, "it has " + std::to_string(data.size()) +
                                                        " vectors for " + std::to_string(count) +
                                                        " inputs");
    std::vector<std::string> vectors(count);
    std::size_t place = 0;
    for (const Cursor datum : data.elements()) {
        LARDER_TRY(Datum read, read_datum(datum, place++, reduced, form));
        if (read.index >= count || !vectors[read.index].empty())
            return fail(ErrorCode::kProviderUnreadable, "its indexes are not those of the inputs");
        vectors[read.index] = std::move(read.vector);
    }
    return vectors;
}

void read_around(Cursor root, const Reduced& reduced, EmbeddingsAnswer& answer) {
    std::string* part = &answer.before;
    answer.before = "{";
    bool is_first = true;
    for (const Member& member : root.members()) {
        if (!is_first)
            *part += ',';
        is_first = false;
        json::write_string(*part, member.name);
        *part += ':';
        if (member.name == "data")
            part = &answer.after;
        else
            reduced.append(*part, member.value.value());
    }
    *part += '}';
}

std::string_view take_line(std::string_view& bytes) {
    const std::size_t end = bytes.find('\n');
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    return line;
}

std::optional<std::uint32_t> take_number(std::string_view& bytes) {
    std::uint32_t number = 0;
    const std::string_view line = take_line(bytes);
    const auto read = std::from_chars(line.data(), line.data() + line.size(), number);
    if (line.empty() || read.ec != std::errc() || read.ptr != line.data() + line.size())
        return std::nullopt;
    return number;
}

bool is_one_answer(std::span<const KeptVector> vectors) {
    const KeptVector& first = vectors.front();
    if (first.count != vectors.size())
        return false;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        if (vectors[i].call != first.call || vectors[i].place != i ||
            vectors[i].count != first.count)
            return false;
    }
    return true;
}

} // namespace

std::string write_kept_vector(const KeptVector& kept) {
    const bool has_around =
        kept.count > 0 && kept.before.size() + kept.after.size() <= kLargestAround;
    std::string out(kept.call);
    ((out += '\n') += std::to_string(kept.place)) += '\n';
    (out += std::to_string(has_around ? kept.count : 0)) += '\n';
    if (has_around)
        out += kept.before;
    out += '\n';
    if (has_around)
        out += kept.after;
    (out += '\n') += kept.vector;
    return out;
}

std::optional<KeptVector> read_kept_vector(std::string_view bytes) {
    KeptVector kept;
    kept.call = take_line(bytes);
    const auto place = take_number(bytes);
    const auto count = take_number(bytes);
    kept.before = take_line(bytes);
    kept.after = take_line(bytes);
    kept.vector = bytes;
    if (!place || !count || !kept.vector.starts_with('{') ||
        !convert_vector(kept.vector, VectorForm::kOther))
        return std::nullopt;
    kept.place = *place;
    kept.count = *count;
    return kept;
}

Result<EmbeddingsAnswer> read_embeddings_answer(std::string_view body, std::size_t count,
                                                VectorForm form) {
    constexpr json::Limits kLimits{.depth = 64, .bytes = 256ULL << 20, .nodes = 1'000'000};
    const Reduced reduced = reduce(body);
    const auto document = json::parse(reduced.text, kLimits);
    if (!document)
        return fail(ErrorCode::kProviderUnreadable,
                    "the provider's answer can't be read: " + document.error().message);
    const Cursor root(*document);
    if (!root.is_object())
        return fail(ErrorCode::kProviderUnreadable,
                    "the provider's answer can't be read: it is no JSON object");
    if (const auto error = root.find_set("error"))
        return provider_error(*error);
    EmbeddingsAnswer answer;
    if (const auto model = root.find("model"))
        answer.model = model->string();
    if (const auto usage = root.find_set("usage"))
        answer.usage = openai_usage(*usage);
    const auto data = root.find("data");
    if (!data || !data->is_array()) {
        answer.why_not = "it has no data";
        return answer;
    }
    auto vectors = read_data(*data, count, reduced, form);
    if (!vectors) {
        answer.why_not = vectors.error().message;
        return answer;
    }
    answer.vectors = *std::move(vectors);
    read_around(root, reduced, answer);
    return answer;
}

std::string write_embeddings_answer(std::span<const KeptVector> vectors, std::string_view model,
                                    std::int64_t tokens) {
    std::size_t size = 256;
    for (const KeptVector& one : vectors)
        size += one.vector.size() + 24;
    const bool is_one = !vectors.empty() && is_one_answer(vectors);
    std::string out;
    out.reserve(size + (is_one ? vectors.front().before.size() + vectors.front().after.size() : 0));
    out += is_one ? vectors.front().before : std::string_view(R"({"object":"list","data":)");
    out += '[';
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        out += i == 0 ? "{\"index\":" : ",{\"index\":";
        (out += std::to_string(i)) += ',';
        out += vectors[i].vector.substr(1);
    }
    out += ']';
    if (is_one)
        return out += vectors.front().after;
    out += ",\"model\":";
    json::write_string(out, model);
    const std::string figure = std::to_string(tokens);
    ((out += R"(,"usage":{"prompt_tokens":)") += figure) += R"(,"total_tokens":)";
    return (out += figure) += "}}";
}

std::vector<std::int64_t> split_tokens(std::int64_t total, std::span<const std::size_t> sizes) {
    constexpr std::int64_t kMost = 1'000'000'000; // so that no product overflows
    total = std::clamp<std::int64_t>(total, 0, kMost);
    std::int64_t whole = 0;
    for (const std::size_t size : sizes)
        whole += static_cast<std::int64_t>(size);
    std::vector<std::int64_t> parts;
    parts.reserve(sizes.size());
    std::int64_t sizes_so_far = 0;
    std::int64_t given = 0;
    for (const std::size_t size : sizes) {
        sizes_so_far += static_cast<std::int64_t>(size);
        const std::int64_t until = whole > 0 ? total * sizes_so_far / whole : 0;
        parts.push_back(until - given);
        given = until;
    }
    return parts;
}

} // namespace larder::protocol
