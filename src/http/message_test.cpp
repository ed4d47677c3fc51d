// Fields and reason phrases.
#include "http/message.hpp"

#include <gtest/gtest.h>

namespace larder::http {
namespace {

TEST(Fields, FindsTheFirstValueWithoutRegardToCase) {
    Fields fields;
    fields.add("Content-Type", "application/json");
    fields.add("content-type", "text/plain");
    EXPECT_EQ(fields.find("CONTENT-TYPE"), "application/json");
    EXPECT_EQ(fields.find("content-typ"), std::nullopt);
    EXPECT_EQ(fields.find("content-type2"), std::nullopt);
}

TEST(Fields, TellsAnEmptyValueFromNone) {
    Fields fields;
    fields.add("Accept", "");
    EXPECT_EQ(fields.find("accept"), "");
    EXPECT_EQ(fields.joined("accept"), "");
    EXPECT_EQ(fields.find("host"), std::nullopt);
}

TEST(Fields, JoinsValuesInTheOrderTheyCame) {
    Fields fields;
    fields.add("Via", "a");
    fields.add("Host", "h");
    fields.add("via", "");
    fields.add("VIA", "c, d");
    EXPECT_EQ(fields.joined("via"), "a, , c, d");
    EXPECT_EQ(fields.joined("x"), "");
    EXPECT_EQ(fields.count("via"), 3U);
    EXPECT_EQ(fields.count("x"), 0U);
}

TEST(Fields, AreEmptyAfterClear) {
    Fields fields;
    fields.add("a", "b");
    EXPECT_EQ(fields.size(), 1U);
    fields.clear();
    EXPECT_EQ(fields.size(), 0U);
    EXPECT_EQ(fields.begin(), fields.end());
}

TEST(ReasonPhrase, NamesWhatHasANameAndNothingElse) {
    EXPECT_EQ(reason_phrase(200), "OK");
    EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
    EXPECT_EQ(reason_phrase(504), "Gateway Timeout");
    EXPECT_EQ(reason_phrase(299), "Unknown");
    EXPECT_EQ(reason_phrase(-1), "Unknown");
}

} // namespace
} // namespace larder::http
