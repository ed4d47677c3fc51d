// Vectors are kept as floats: what base64 says exactly, and what the decimals of an API mean.
#include "replay/embeddings.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>

namespace larder::replay {
namespace {

static_assert(std::endian::native == std::endian::little, "base64 vectors are little-endian");

constexpr std::size_t kDimensions = 16; // of a made-up vector whose request names none
constexpr std::size_t kDimensionsMax = 8192;

std::string text_of(json::Value object, std::string_view name) {
    auto member = object.find(name);
    return member ? member->as_string().value_or("") : "";
}

bool wants_base64(json::Value request) {
    return text_of(request, "encoding_format") == "base64";
}

std::size_t dimensions_of(json::Value request) {
    auto member = request.find("dimensions");
    const std::int64_t asked = member ? member->as_int().value_or(0) : 0;
    return asked <= 0 ? kDimensions : std::min(static_cast<std::size_t>(asked), kDimensionsMax);
}

std::string write_vector(const Vector& vector, bool base64) {
    if (base64) {
        const std::string_view bytes(reinterpret_cast<const char*>(vector.data()),
                                     vector.size() * sizeof(float));
        return "\"" + text::base64(bytes) + "\"";
    }
    std::string out = "[";
    for (const float number : vector) {
        std::array<char, 32> digits{};
        const auto [end, error] =
            std::to_chars(digits.data(), digits.data() + digits.size(), number);
        out += out.size() > 1 ? "," : "";
        out.append(digits.data(), end);
    }
    return out + "]";
}

std::optional<Vector> read_vector(json::Value value) {
    Vector vector;
    if (value.is(json::Kind::kString)) {
        const auto bytes = text::from_base64(*value.as_string());
        if (!bytes || bytes->size() % sizeof(float) != 0)
            return std::nullopt;
        vector.resize(bytes->size() / sizeof(float));
        std::memcpy(vector.data(), bytes->data(), bytes->size());
        return vector;
    }
    if (!value.is(json::Kind::kArray))
        return std::nullopt;
    value.for_each_element([&](json::Value number) {
        vector.push_back(static_cast<float>(number.as_double().value_or(0)));
        return true;
    });
    return vector;
}

/// Everything of the request but its elements and their encoding.
Sha256 key_of(std::string_view provider, json::Value request, std::string_view element) {
    constexpr std::array<std::string_view, 3> kLeftOut{"input", "encoding_format", "user"};
    std::string canonical;
    json::write_canonical(canonical, request, {.skip_top = kLeftOut});
    const std::array<std::string_view, 5> parts{provider, "\n", canonical, "\n", element};
    return sha256(parts);
}

Vector made_up_vector(const Sha256& key, std::size_t dimensions) {
    Vector vector;
    Sha256 digest = key;
    while (vector.size() < dimensions) {
        for (const unsigned char byte : digest)
            if (vector.size() < dimensions)
                vector.push_back((static_cast<float>(byte) - 127.5F) / 1024.0F);
        digest =
            sha256(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
    }
    return vector;
}

} // namespace

std::vector<std::string> elements_of(json::Value request) {
    std::vector<std::string> elements;
    const auto input = request.find("input");
    if (!input)
        return elements;
    bool is_list = input->is(json::Kind::kArray);
    input->for_each_element([&](json::Value element) {
        is_list = is_list && !element.is(json::Kind::kNumber);
        return false;
    });
    const auto add = [&elements](json::Value element) {
        json::write_canonical(elements.emplace_back(), element);
        return true;
    };
    if (is_list)
        input->for_each_element(add);
    else
        add(*input);
    return elements;
}

void EmbeddingTable::learn(std::string_view provider, json::Value request,
                           std::string_view answer) {
    const auto document = json::parse(answer);
    const auto data = document ? document->root().find("data") : std::nullopt;
    const std::vector<std::string> elements = elements_of(request);
    if (!data || data->size() != elements.size())
        return;
    std::size_t index = 0;
    data->for_each_element([&](json::Value item) {
        const auto value = item.find("embedding");
        auto vector = value ? read_vector(*value) : std::nullopt;
        if (vector)
            by_element_.try_emplace(key_of(provider, request, elements[index]), *std::move(vector));
        ++index;
        return true;
    });
}

std::string EmbeddingTable::answer(std::string_view provider, json::Value request) const {
    std::string data;
    std::size_t index = 0;
    std::size_t tokens = 0;
    for (const std::string& element : elements_of(request)) {
        const Sha256 key = key_of(provider, request, element);
        const auto found = by_element_.find(key);
        const Vector vector = found != by_element_.end()
                                  ? found->second
                                  : made_up_vector(key, dimensions_of(request));
        tokens += 1 + element.size() / 4;
        data += index == 0 ? "" : ",";
        data += R"({"object":"embedding","index":)" + std::to_string(index++) + R"(,"embedding":)" +
                write_vector(vector, wants_base64(request)) + "}";
    }
    std::string model;
    json::write_string(model, text_of(request, "model"));
    const std::string count = std::to_string(tokens);
    return R"({"object":"list","data":[)" + data + R"(],"model":)" + model +
           R"(,"usage":{"prompt_tokens":)" + count + R"(,"total_tokens":)" + count + "}}";
}

Result<std::string> in_encoding(std::string_view recorded, json::Value request) {
    LARDER_TRY(const json::Document document, json::parse(recorded));
    json::Patch patch;
    const auto data = document.root().find("data");
    if (!data)
        return std::string(recorded);
    const bool base64 = wants_base64(request);
    data->for_each_element([&](json::Value item) {
        const auto value = item.find("embedding");
        if (!value || value->is(json::Kind::kString) == base64)
            return true;
        if (const auto vector = read_vector(*value))
            patch.replace(value->begin(), value->end(), write_vector(*vector, base64));
        return true;
    });
    return patch.apply(recorded);
}

} // namespace larder::replay
