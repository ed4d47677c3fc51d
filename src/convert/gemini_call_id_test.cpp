// A signature survives its way through a client inside the id of a tool call.
#include "convert/gemini_call_id.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace larder::convert {
namespace {

TEST(GeminiCallId, CarriesASignatureThroughAnId) {
    for (const std::string signature :
         {"EokDCoYDAQw51sfpp/5uYX8u6np+", "AAAA", "AA==", "signature_REDACTED_1", "é \"x\"", "a"}) {
        const std::string joined = join_call_id({.id = "call_r-1_0", .signature = signature});
        const GeminiCallId parts = split_call_id(joined);
        EXPECT_EQ(parts.id, "call_r-1_0") << signature;
        EXPECT_EQ(parts.signature, signature);
        EXPECT_TRUE(std::ranges::all_of(joined, [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
        })) << joined;
    }
}

TEST(GeminiCallId, LeavesOtherIdsAlone) {
    for (const std::string id :
         {"", "call_abc", "toolu_01A", "ewfqe3jj", "a_sig_", "a_sig_*", "_sig_AAAA", "a_sgt_ä"}) {
        const GeminiCallId parts = split_call_id(id);
        EXPECT_EQ(parts.id, id);
        EXPECT_EQ(parts.signature, "");
    }
    EXPECT_EQ(join_call_id({.id = "ewfqe3jj", .signature = {}}), "ewfqe3jj");
}

TEST(GeminiCallId, AnIdThatLooksLikeAnotherWithASignatureIsHashed) {
    const std::string joined = join_call_id({.id = "a_sig_AAAA", .signature = {}});
    EXPECT_EQ(split_call_id(joined).id, joined);
    EXPECT_EQ(split_call_id(joined).signature, "");
}

TEST(GeminiCallId, IsOfItsAnswerAlone) {
    EXPECT_EQ(make_call_id("D8MNateV-s", 0), "call_D8MNateV-s_0");
    EXPECT_NE(make_call_id("a", 0), make_call_id("b", 0));
    EXPECT_NE(make_call_id("a", 0), make_call_id("a", 1));
    EXPECT_EQ(make_call_id("x y\n", 0), make_call_id("x y\n", 0));
    EXPECT_EQ(make_call_id("x y\n", 0).find('\n'), std::string::npos);
    EXPECT_LT(make_call_id(std::string(5000, 'a'), 3).size(), 40U);
    EXPECT_EQ(split_call_id(make_call_id("r_sig_AAAA", 0)).signature, "");
}

} // namespace
} // namespace larder::convert
