// Commands, scripts, slots and errors as values.
#include "redis/client.hpp"
#include "redis/command.hpp"
#include "redis/script.hpp"
#include "redis/slots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::redis {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Command, KeepsItsArgumentsAndTheFirstKey) {
    Command command("EVALSHA");
    command.arg("sha").arg(std::int64_t{2}).key("first").key("second").arg("");
    ASSERT_EQ(command.size(), 6U);
    EXPECT_EQ(command[0], "EVALSHA");
    EXPECT_EQ(command[1], "sha");
    EXPECT_EQ(command[2], "2");
    EXPECT_EQ(command[3], "first");
    EXPECT_EQ(command[4], "second");
    EXPECT_EQ(command[5], "");
    EXPECT_EQ(command.first_key(), "first");
    EXPECT_EQ(command.bytes(), 22U);
}

TEST(Command, HasNoKeyAndIsNotRepeatedUnlessItSaysSo) {
    const Command plain("PING");
    EXPECT_EQ(plain.first_key(), "");
    EXPECT_FALSE(plain.is_idempotent());
    const Command made = Command("GET").key("k").idempotent();
    EXPECT_TRUE(made.is_idempotent());
    EXPECT_EQ(made.first_key(), "k");
}

TEST(Command, WritesTheLargestNumbers) {
    Command command("X");
    command.arg(std::int64_t{INT64_MIN}).arg(std::int64_t{INT64_MAX});
    EXPECT_EQ(command[1], "-9223372036854775808");
    EXPECT_EQ(command[2], "9223372036854775807");
}

TEST(Script, HasTwoTextsAndTheirHashes) {
    const Script script("return 1");
    EXPECT_EQ(script.plain().body, "return 1");
    EXPECT_EQ(script.plain().sha1, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    EXPECT_EQ(script.flagged().body, "#!lua flags=allow-key-locking\nreturn 1");
    EXPECT_EQ(script.flagged().sha1.size(), 40U);
    EXPECT_NE(script.flagged().sha1, script.plain().sha1);
}

TEST(Slots, AreThoseOfTheSpecification) {
    EXPECT_EQ(slot_of("123456789"), 0x31C3);
    EXPECT_EQ(slot_of("foo"), 12182);
    EXPECT_EQ(slot_of(""), 0);
}

TEST(Slots, AreDecidedByTheFirstHashTagThatIsNotEmpty) {
    EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
    EXPECT_EQ(slot_of("a{user1000}b{c}"), slot_of("user1000"));
    EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
    EXPECT_NE(slot_of("foo{}{bar}"), slot_of("bar")); // the whole key
    EXPECT_NE(slot_of("foo{bar"), slot_of("bar"));
    EXPECT_NE(slot_of("foo}bar{"), slot_of("bar"));
}

TEST(ErrorOf, TellsTheKnownWordsAndNothingElse) {
    const Error full = error_of("OOM command not allowed when used memory > 'maxmemory'.");
    EXPECT_EQ(full.code, ErrorCode::kStore);
    EXPECT_EQ(full.detail, "OOM");
    EXPECT_EQ(full.message, "Redis: it is full");
    EXPECT_EQ(error_of("NOSCRIPT No matching script.").detail, "NOSCRIPT");
    EXPECT_EQ(error_of("READONLY").detail, "READONLY");
    for (const std::string_view text :
         {"ERR unknown command 'secret', with args beginning with: 'secret'", "secret", "", " OOM",
          "SECRET word", "OOMsecret"}) {
        const Error error = error_of(text);
        EXPECT_EQ(error.detail, "ERR");
        EXPECT_THAT(error.message, Not(HasSubstr("secret")));
    }
}

} // namespace
} // namespace larder::redis
