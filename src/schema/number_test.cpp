// Tests of exact decimals.
#include "schema/number.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace larder::schema {
namespace {

TEST(Number, OrdersWithoutRounding) {
    const std::vector<std::string> ascending = {"-1e99999999999999999999",
                                                "-1e400",
                                                "-10.5",
                                                "-10.49",
                                                "-1",
                                                "-1e-400",
                                                "0",
                                                "1e-400",
                                                "0.1",
                                                "0.10000000000000000000001",
                                                "1",
                                                "9.99",
                                                "9007199254740992",
                                                "9007199254740993",
                                                "1e400",
                                                "1.1e400",
                                                "1e99999999999999999999"};
    for (std::size_t a = 0; a < ascending.size(); ++a) {
        for (std::size_t b = 0; b < ascending.size(); ++b)
            EXPECT_EQ(Number::read(ascending[a]) <=> Number::read(ascending[b]), a <=> b)
                << ascending[a] << " " << ascending[b];
    }
}

TEST(Number, KnowsOneValueInAllItsSpellings) {
    for (const char* spelling : {"1200", "1200.0", "1.2e3", "0.12E+4", "12000000e-4", "1200.000e0"})
        EXPECT_EQ(Number::read(spelling), Number::read("1200")) << spelling;
    for (const char* zero : {"0", "-0", "0.000", "0e99999999999999999999", "-0.0e-5"})
        EXPECT_EQ(Number::read(zero), Number{}) << zero;
}

TEST(Number, DividesExactly) {
    const auto divides = [](const char* divisor, const std::string& number) {
        const auto by = Divisor::of(Number::read(divisor));
        EXPECT_TRUE(by) << divisor;
        return by && by->divides(Number::read(number));
    };
    for (int tenths = 0; tenths < 1'000; ++tenths) {
        const std::string number = std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
        EXPECT_TRUE(divides("0.1", number)) << number;
        EXPECT_EQ(divides("0.3", number), tenths % 3 == 0) << number;
        EXPECT_EQ(divides("0.70", number), tenths % 7 == 0) << number;
        EXPECT_FALSE(divides("0.1", number + "5")) << number;
    }
    EXPECT_TRUE(divides("1e-300", "1e300"));
    EXPECT_TRUE(divides("576460752303423488", "1e59")); // 2^59
    EXPECT_FALSE(divides("576460752303423488", "1e58"));
    EXPECT_TRUE(divides("7e-99999999999", "7e99999999999"));
    EXPECT_FALSE(divides("3e-99999999999", "1e99999999999"));
    EXPECT_TRUE(divides("999999999999999999", "999999999999999999000000"));
}

TEST(Number, IsNoDivisorWithoutMeaning) {
    for (const char* text : {"0", "-1", "0.0", "1234567890123456789"})
        EXPECT_FALSE(Divisor::of(Number::read(text))) << text;
    EXPECT_TRUE(Divisor::of(Number::read("123456789012345678000")));
}

} // namespace
} // namespace larder::schema
