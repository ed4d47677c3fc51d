// Embeddings: requests read and written for some inputs, answers split and put together, vectors
// between numbers and base64 without a bit lost.
#include "protocol/embeddings.hpp"

#include "base/text.hpp"
#include "testing/recordings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace larder::protocol {
namespace {

struct Request {
    explicit Request(std::string text) : body(std::move(text)) {
        auto parsed = json::parse(body);
        EXPECT_TRUE(parsed) << body;
        if (parsed)
            call = read_embeddings_call(document = *std::move(parsed));
    }
    std::string body;
    json::Document document;
    Result<EmbeddingsCall> call;

    [[nodiscard]] std::string written(std::vector<std::uint32_t> wanted,
                                      std::string_view model = "m") const {
        return write_embeddings_request(body, *call, model, wanted);
    }
};

std::string field_of(const std::string& body) {
    const Request request(body);
    return request.call ? "it was taken" : request.call.error().field;
}

TEST(EmbeddingsRequest, TakesOneStringOrSeveralOrTokens) {
    const Request one(R"({"model":"m","input":"Hello"})");
    ASSERT_TRUE(one.call);
    ASSERT_EQ(one.call->inputs.size(), 1U);
    EXPECT_EQ(one.call->inputs[0].raw, R"("Hello")");
    EXPECT_EQ(one.call->form, VectorForm::kNumbers);
    const Request several(R"({"model":"m","input":["a", "b\n"],"encoding_format":"base64"})");
    ASSERT_TRUE(several.call);
    ASSERT_EQ(several.call->inputs.size(), 2U);
    EXPECT_EQ(several.call->inputs[1].raw, R"("b\n")");
    EXPECT_EQ(several.call->form, VectorForm::kBase64);
    const Request tokens(R"({"model":"m","input":[1, 2, 3]})");
    ASSERT_TRUE(tokens.call);
    ASSERT_EQ(tokens.call->inputs.size(), 1U);
    EXPECT_EQ(tokens.call->inputs[0].size, 3U);
    const Request lists(R"({"model":"m","input":[[1, 2], [3]],"encoding_format":null})");
    ASSERT_TRUE(lists.call);
    ASSERT_EQ(lists.call->inputs.size(), 2U);
    EXPECT_EQ(lists.call->inputs[0].raw, "[1, 2]");
}

TEST(EmbeddingsRequest, RefusesWithTheFieldAtFault) {
    EXPECT_EQ(field_of(R"({"input":"a"})"), "model");
    EXPECT_EQ(field_of(R"({"model":7,"input":"a"})"), "model");
    EXPECT_EQ(field_of(R"({"model":" ","input":"a"})"), "model");
    EXPECT_EQ(field_of(R"({"model":"m"})"), "input");
    EXPECT_EQ(field_of(R"({"model":"m","input":null})"), "input");
    EXPECT_EQ(field_of(R"({"model":"m","input":7})"), "input");
    EXPECT_EQ(field_of(R"({"model":"m","input":""})"), "input");
    EXPECT_EQ(field_of(R"({"model":"m","input":[]})"), "input");
    EXPECT_EQ(field_of(R"({"model":"m","input":["a","b",""]})"), "input[2]");
    EXPECT_EQ(field_of(R"({"model":"m","input":["a","b","c",{}]})"), "input[3]");
    EXPECT_EQ(field_of(R"({"model":"m","input":["a",[1]]})"), "input[1]");
    EXPECT_EQ(field_of(R"({"model":"m","input":[[1],[]]})"), "input[1]");
    EXPECT_EQ(field_of(R"({"model":"m","input":[[1],[2,"x"]]})"), "input[1][1]");
    EXPECT_EQ(field_of(R"({"model":"m","input":[1,-2]})"), "input[1]");
    EXPECT_EQ(field_of(R"({"model":"m","input":"a","encoding_format":3})"), "encoding_format");
    EXPECT_EQ(field_of(R"({"model":"m","input":"a","dimensions":0})"), "dimensions");
    EXPECT_EQ(field_of(R"({"model":"m","input":"a","dimensions":"512"})"), "dimensions");
    EXPECT_EQ(field_of(R"({"model":"m","input":"a","user":{}})"), "user");
    const Request none("[]");
    EXPECT_FALSE(none.call);
}

TEST(EmbeddingsRequest, TakesAtMost2048Inputs) {
    const auto with = [](std::size_t count) {
        std::string body = R"({"model":"m","input":["a")";
        for (std::size_t i = 1; i < count; ++i)
            body += R"(,"a")";
        return body + "]}";
    };
    EXPECT_TRUE(Request(with(2048)).call);
    EXPECT_EQ(field_of(with(2049)), "input");
}

TEST(EmbeddingsRequest, IsTheClientsOwnBytesWhenAllIsWanted) {
    const Request request(R"( {"input": [ "a","b" ] , "model":"m","x":1.0})");
    ASSERT_TRUE(request.call);
    EXPECT_EQ(request.written({0, 1}), request.body);
    EXPECT_EQ(request.written({0, 1}, "other"),
              R"( {"input": [ "a","b" ] , "model":"other","x":1.0})");
    EXPECT_EQ(request.written({1}), R"( {"input": ["b"] , "model":"m","x":1.0})");
    const Request tokens(R"({"model":"m","input":[[1, 2],[3],[4]]})");
    EXPECT_EQ(tokens.written({0, 2}), R"({"model":"m","input":[[1, 2],[4]]})");
    const Request lone(R"({"model":"m","input":[1, 2]})");
    EXPECT_EQ(lone.written({0}), lone.body);
}

llm::Fingerprint key_of(const std::string& body, std::size_t index = 0) {
    const Request request(body);
    EXPECT_TRUE(request.call) << body;
    llm::FingerprintBuilder key;
    add_to_fingerprint(key, *request.call, request.document, request.call->call.model);
    const auto canonical = canonical_input(request.call->inputs[index]);
    EXPECT_TRUE(canonical);
    return key.add("input", *canonical).finish();
}

TEST(EmbeddingsKey, IsTheElementsHoweverItWasAskedFor) {
    const auto expected = key_of(R"({"model":"m","input":"ab"})");
    EXPECT_EQ(key_of(R"({"input":["x","\u0061b"],"model":"m"})", 1), expected);
    EXPECT_EQ(key_of(R"({"model":"m","input":"ab","encoding_format":"base64"})"), expected);
    EXPECT_EQ(key_of(R"({"model":"m","input":"ab","encoding_format":"float","user":"u"})"),
              expected);
    EXPECT_NE(key_of(R"({"model":"m","input":"ab","dimensions":512})"), expected);
    EXPECT_NE(key_of(R"({"model":"n","input":"ab"})"), expected);
    EXPECT_NE(key_of(R"({"model":"m","input":"ab","encoding_format":"int8"})"), expected);
    EXPECT_NE(key_of(R"({"model":"m","input":"ab","unknown":1})"), expected);
    EXPECT_NE(key_of(R"({"model":"m","input":"aB"})"), expected);
    EXPECT_EQ(key_of(R"({"model":"m","input":[1,2]})"),
              key_of(R"({"model":"m","input":[[1, 2]]})"));
    EXPECT_NE(key_of(R"({"model":"m","input":[1,2]})"), key_of(R"({"model":"m","input":"[1,2]"})"));
}

TEST(EmbeddingsKey, HasTheEncodingBesideAMemberThatIsNotKnown) {
    const auto floats = key_of(R"({"model":"m","input":"a","output_dtype":"int8"})");
    const std::string base64 =
        R"({"model":"m","input":"a","output_dtype":"int8","encoding_format":"base64"})";
    EXPECT_NE(key_of(base64), floats);
    EXPECT_EQ(key_of(R"({"encoding_format":"base64","output_dtype":"int8","input":["b","a"],)"
                     R"("model":"m","user":"u"})",
                     1),
              key_of(base64));
    const Request request(base64);
    ASSERT_TRUE(request.call);
    EXPECT_EQ(request.call->form, VectorForm::kOther); // its strings are never converted
    const auto answer = read_embeddings_answer(R"({"data":[{"index":0,"embedding":"AQID"}]})", 1,
                                               request.call->form);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->vectors, std::vector<std::string>{R"({"embedding":"AQID"})"});
    const Request known(
        R"({"model":"m","input":"a","dimensions":2,"user":"u","encoding_format":"base64"})");
    EXPECT_EQ(known.call->form, VectorForm::kBase64);
}

std::string vector_of(std::string_view value) {
    return R"({"object":"embedding","embedding":)" + std::string(value) + "}";
}

std::string numbers_of(std::span<const float> values) {
    std::string out = "[";
    for (const float value : values) {
        if (out.size() > 1)
            out += ',';
        std::array<char, 32> digits{};
        out.append(digits.data(),
                   std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
    }
    return out + "]";
}

std::string base64_of(std::span<const float> values) {
    const std::string_view bytes(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    static_assert(std::endian::native == std::endian::little);
    return '"' + text::base64(bytes) + '"';
}

void expect_both_ways(std::span<const float> values) {
    const std::string numbers = vector_of(numbers_of(values));
    const std::string base64 = vector_of(base64_of(values));
    EXPECT_EQ(convert_vector(numbers, VectorForm::kBase64).value_or("failed"), base64);
    EXPECT_EQ(convert_vector(base64, VectorForm::kNumbers).value_or("failed"), numbers);
    EXPECT_EQ(convert_vector(numbers, VectorForm::kNumbers).value_or("failed"), numbers);
    EXPECT_EQ(convert_vector(base64, VectorForm::kBase64).value_or("failed"), base64);
}

TEST(EmbeddingsVector, KeepsExtremeValuesBothWays) {
    using Limits = std::numeric_limits<float>;
    const std::array values{0.0F,
                            -0.0F,
                            1.0F,
                            -1.0F,
                            Limits::max(),
                            Limits::lowest(),
                            Limits::min(),
                            Limits::denorm_min(),
                            -Limits::denorm_min(),
                            std::nextafter(Limits::min(), 0.0F),
                            std::nextafter(1.0F, 2.0F),
                            0.1F,
                            -0.0069292834F,
                            1e20F,
                            1e-20F};
    expect_both_ways(values);
}

TEST(EmbeddingsVector, KeepsRandomBitsBothWays) {
    constexpr std::uint32_t kSeed = 20261125;
    std::mt19937 random(kSeed);
    std::vector<float> values;
    while (values.size() < 100'000) {
        const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
        if (std::isfinite(value))
            values.push_back(value);
    }
    expect_both_ways(values);
}

TEST(EmbeddingsVector, RoundsWhatIsNoFloat32ToTheNearest) {
    const auto bits = [](std::string_view digits) {
        return convert_vector(vector_of("[" + std::string(digits) + "]"), VectorForm::kBase64)
            .value_or("failed");
    };
    const auto expected = [](float value) { return vector_of(base64_of(std::array{value})); };
    // Half-way cases that a double in between would round twice.
    EXPECT_EQ(bits("1.00000005960464477540"), expected(std::nextafter(1.0F, 2.0F)));
    EXPECT_EQ(bits("1.0000000596046447"), expected(1.0F));
    EXPECT_EQ(bits("1e-60"), expected(0.0F));
    EXPECT_EQ(bits("-1e-60"), expected(-0.0F));
    EXPECT_EQ(bits("1e39"), "failed");
    EXPECT_EQ(bits("1e400"), "failed");
}

TEST(EmbeddingsVector, RefusesBase64ThatIsNoVector) {
    const auto numbers = [](std::string_view base64) {
        return convert_vector(vector_of('"' + std::string(base64) + '"'), VectorForm::kNumbers)
            .has_value();
    };
    EXPECT_TRUE(numbers("AACAPw=="));
    EXPECT_FALSE(numbers("AACAPw"));
    EXPECT_FALSE(numbers("AACA"));     // three bytes
    EXPECT_FALSE(numbers("AACAfw==")); // infinity
    EXPECT_FALSE(numbers("AADAfw==")); // no number
    EXPECT_FALSE(convert_vector(R"({"embedding":7})", VectorForm::kNumbers));
    EXPECT_FALSE(convert_vector(R"({"other":[1]})", VectorForm::kNumbers));
    EXPECT_FALSE(convert_vector("]}", VectorForm::kNumbers));
    EXPECT_FALSE(convert_vector("", VectorForm::kNumbers));
}

constexpr std::string_view kAnswer = R"({ "object": "list",
  "data": [ {"object":"embedding","index":1,"embedding":[ 0.25, -1e-05 ]},
            {"index":0,"object":"embedding","embedding":[1,2],"extra":[ "a b" , [3] ]} ],
  "model": "m-1", "usage": {"prompt_tokens":8,"total_tokens":8}, "id":"x [1, 2]" })";

TEST(EmbeddingsAnswer, IsSplitInTheOrderOfItsIndexes) {
    const auto answer = read_embeddings_answer(kAnswer, 2, VectorForm::kNumbers);
    ASSERT_TRUE(answer) << answer.error().message;
    ASSERT_EQ(answer->vectors.size(), 2U) << answer->why_not;
    EXPECT_EQ(answer->vectors[0],
              R"({"object":"embedding","extra":["a b",[3]],"embedding":[1,2]})");
    EXPECT_EQ(answer->vectors[1], R"({"object":"embedding","embedding":[0.25,-1e-05]})");
    EXPECT_EQ(answer->model, "m-1");
    ASSERT_TRUE(answer->usage);
    EXPECT_EQ(answer->usage->input, 8);
    EXPECT_EQ(answer->before, R"({"object":"list","data":)");
    EXPECT_EQ(answer->after, R"(,"model":"m-1","usage":{"prompt_tokens":8,"total_tokens":8},)"
                             R"("id":"x [1, 2]"})");
}

TEST(EmbeddingsAnswer, IsNotSplitWhenItIsNotWhatWasAskedFor) {
    const auto why_not = [](std::string_view data, std::size_t count,
                            VectorForm form = VectorForm::kNumbers) {
        const auto answer = read_embeddings_answer(
            R"({"object":"list","data":)" + std::string(data) + "}", count, form);
        EXPECT_TRUE(answer) << data;
        EXPECT_TRUE(answer->vectors.empty() || answer->why_not.empty());
        return answer->why_not;
    };
    constexpr std::string_view kOne = R"([{"index":0,"embedding":[1]}])";
    EXPECT_EQ(why_not(kOne, 1), "");
    EXPECT_NE(why_not(kOne, 2), "");
    EXPECT_NE(why_not("[]", 1), "");
    EXPECT_NE(why_not("{}", 1), "");
    EXPECT_NE(why_not(R"([{"index":1,"embedding":[1]}])", 1), "");
    EXPECT_NE(why_not(R"([{"index":-1,"embedding":[1]}])", 1), "");
    EXPECT_NE(why_not(R"([{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}])", 2), "");
    EXPECT_NE(why_not(R"([{"index":0}])", 1), "");
    EXPECT_NE(why_not("[7]", 1), "");
    EXPECT_NE(why_not(R"([{"index":0,"embedding":[]}])", 1), "");
    EXPECT_NE(why_not(R"([{"index":0,"embedding":[1,null]}])", 1), "");
    EXPECT_NE(why_not(R"([{"index":0,"embedding":"AACAPw=="}])", 1), "");
    EXPECT_NE(why_not(kOne, 1, VectorForm::kBase64), "");
    EXPECT_EQ(why_not(R"([{"index":0,"embedding":"AACAPw=="}])", 1, VectorForm::kBase64), "");
}

TEST(EmbeddingsAnswer, RefusesWhatIsNoAnswer) {
    const auto code = [](std::string_view body) {
        const auto answer = read_embeddings_answer(body, 1, VectorForm::kNumbers);
        return answer ? ErrorCode::kInternal : answer.error().code;
    };
    EXPECT_EQ(code("[1]"), ErrorCode::kProviderUnreadable);
    EXPECT_EQ(code(""), ErrorCode::kProviderUnreadable);
    EXPECT_EQ(code(R"({"data":[01]})"), ErrorCode::kProviderUnreadable);
    EXPECT_EQ(code(R"({"data":[1.]})"), ErrorCode::kProviderUnreadable);
    EXPECT_EQ(code(R"({"data":[1,]})"), ErrorCode::kProviderUnreadable);
    EXPECT_EQ(code(R"({"error":{"message":"no"}})"), ErrorCode::kProviderRejected);
    for (std::size_t size = 0; size < kAnswer.size(); ++size) {
        const std::string cut(kAnswer.substr(0, size));
        EXPECT_FALSE(read_embeddings_answer(cut, 2, VectorForm::kNumbers)) << cut;
    }
}

/// What is kept of an answer, one text a vector.
std::vector<std::string> kept_of(const EmbeddingsAnswer& answer, std::string_view call) {
    std::vector<std::string> kept;
    for (const std::string& vector : answer.vectors)
        kept.push_back(
            write_kept_vector({.call = call,
                               .place = static_cast<std::uint32_t>(kept.size()),
                               .count = static_cast<std::uint32_t>(answer.vectors.size()),
                               .before = answer.before,
                               .after = answer.after,
                               .vector = vector}));
    return kept;
}

std::string merged(std::initializer_list<std::string_view> kept) {
    std::vector<KeptVector> vectors;
    for (const std::string_view bytes : kept) {
        auto read = read_kept_vector(bytes);
        EXPECT_TRUE(read) << bytes;
        vectors.push_back(read.value_or(KeptVector()));
    }
    return write_embeddings_answer(vectors, "m-1", 5);
}

TEST(EmbeddingsAnswer, IsPutTogetherWithAllThatWasAroundIt) {
    const auto answer = read_embeddings_answer(kAnswer, 2, VectorForm::kNumbers);
    const auto kept = kept_of(*answer, "c1");
    EXPECT_EQ(merged({kept[0], kept[1]}),
              R"({"object":"list","data":[{"index":0,"object":"embedding","extra":["a b",[3]],)"
              R"("embedding":[1,2]},{"index":1,"object":"embedding","embedding":[0.25,-1e-05]}],)"
              R"("model":"m-1","usage":{"prompt_tokens":8,"total_tokens":8},"id":"x [1, 2]"})");
    constexpr std::string_view kUsage =
        R"(],"model":"m-1","usage":{"prompt_tokens":5,"total_tokens":5}})";
    EXPECT_TRUE(merged({kept[1], kept[0]}).ends_with(kUsage));
    EXPECT_TRUE(merged({kept[0]}).ends_with(kUsage));
    EXPECT_TRUE(merged({kept[0], kept[1], kept[0]}).ends_with(kUsage));
    const auto other = kept_of(*answer, "c2");
    EXPECT_TRUE(merged({kept[0], other[1]}).ends_with(kUsage));
}

TEST(EmbeddingsAnswer, ReadsNoKeptVectorFromOtherBytes) {
    const auto answer = read_embeddings_answer(kAnswer, 2, VectorForm::kNumbers);
    const std::string kept = kept_of(*answer, "c1")[0];
    ASSERT_TRUE(read_kept_vector(kept));
    for (std::size_t size = 0; size < kept.size(); ++size)
        EXPECT_FALSE(read_kept_vector(kept.substr(0, size))) << size;
    EXPECT_FALSE(read_kept_vector(R"({"object":"list","data":[]})"));
    EXPECT_FALSE(read_kept_vector("c\n-1\n1\n{\n}\n{\"embedding\":[1]}"));
    EXPECT_FALSE(read_kept_vector("c\n99999999999\n1\n{\n}\n{\"embedding\":[1]}"));
}

TEST(EmbeddingsTokens, AreSplitSoThatTheirSumIsExact) {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::size_t> sizes(1 + random() % 100);
        for (std::size_t& size : sizes)
            size = 1 + random() % 10'000;
        const std::int64_t total = static_cast<std::int64_t>(random() % 100'000);
        const auto parts = split_tokens(total, sizes);
        EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), std::int64_t{0}), total);
        EXPECT_TRUE(std::ranges::all_of(parts, [](std::int64_t part) { return part >= 0; }));
    }
    const std::array<std::size_t, 3> sizes{1, 2, 3};
    EXPECT_EQ(split_tokens(12, sizes), (std::vector<std::int64_t>{2, 4, 6}));
}

/// Canonical JSON, so that spacing and the order of members don't count.
std::string canonical(std::string_view text) {
    const auto document = json::parse(text);
    EXPECT_TRUE(document) << text.substr(0, 200);
    std::string out;
    if (document)
        json::write_canonical(out, document->root());
    return out;
}

TEST(EmbeddingsRecordings, AreReadSplitAndPutTogetherEqual) {
    const auto recordings =
        testing::load_recordings(testing::recordings_path(), [](const testing::Recording& one) {
            return one.api == "openai.embeddings";
        });
    if (!recordings)
        GTEST_SKIP() << recordings.error().message;
    std::size_t split = 0;
    for (const testing::Recording& one : *recordings) {
        const Request request(one.request_body);
        ASSERT_TRUE(request.call) << one.id << request.call.error().message;
        EXPECT_EQ(request.call->call.model, one.model) << one.id;
        if (one.status != 200)
            continue;
        const auto answer = read_embeddings_answer(one.response_body, request.call->inputs.size(),
                                                   request.call->form);
        ASSERT_TRUE(answer) << one.id << answer.error().message;
        if (one.provider == "perplexity") { // its base64 is not what was asked for: int8
            EXPECT_FALSE(answer->why_not.empty());
            continue;
        }
        ASSERT_EQ(answer->vectors.size(), request.call->inputs.size()) << one.id << answer->why_not;
        std::vector<std::string> kept = kept_of(*answer, one.id);
        std::vector<KeptVector> vectors;
        for (const std::string& bytes : kept)
            vectors.push_back(read_kept_vector(bytes).value_or(KeptVector()));
        EXPECT_EQ(canonical(write_embeddings_answer(vectors, answer->model, 0)),
                  canonical(one.response_body))
            << one.id;
        for (const std::string& vector : answer->vectors) {
            const auto numbers = convert_vector(vector, VectorForm::kNumbers);
            const auto base64 = convert_vector(vector, VectorForm::kBase64);
            ASSERT_TRUE(numbers && base64) << one.id;
            EXPECT_EQ(convert_vector(*numbers, VectorForm::kBase64).value_or("failed"), *base64)
                << one.id;
        }
        ++split;
    }
    EXPECT_GE(split, 45U);
}

} // namespace
} // namespace larder::protocol
