// Tests of the ids of sessions.
#include "session/id.hpp"

#include <gtest/gtest.h>

#include <set>

namespace larder::session {
namespace {

const Owner kAnn{.name_space = "default", .user_id = "ann"};

TEST(SessionId, HasAFixedFormThatIsRecognised) {
    for (int i = 0; i < 100; ++i) {
        const std::string id = make_id(kAnn);
        EXPECT_EQ(id.size(), kIdLength);
        EXPECT_TRUE(is_id(id)) << id;
    }
}

TEST(SessionId, EndsWithTheTagOfItsUser) {
    const std::string id = make_id(kAnn);
    EXPECT_EQ(tag_of_id(id), tag_of(kAnn));
    EXPECT_EQ(tag_of_id(make_id_with_tag(tag_of(kAnn))), tag_of(kAnn));
}

TEST(SessionId, IsNeverTheSameTwice) {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i)
        EXPECT_TRUE(seen.insert(make_id(kAnn)).second);
}

TEST(SessionId, VariesInEveryCharacterOfItsRandomPart) {
    std::set<char> seen[kRandomLength];
    for (int i = 0; i < 200; ++i) {
        const std::string id = make_id(kAnn);
        for (std::size_t at = 0; at < kRandomLength; ++at)
            seen[at].insert(id[at]);
    }
    for (std::size_t at = 0; at < kRandomLength; ++at)
        EXPECT_GT(seen[at].size(), 10U) << "character " << at;
}

TEST(SessionId, IsRefusedInAnyOtherForm) {
    const std::string id = make_id(kAnn);
    EXPECT_FALSE(is_id(""));
    EXPECT_FALSE(is_id(id + "A"));
    EXPECT_FALSE(is_id(std::string_view(id).substr(1)));
    for (const char bad : {'+', '/', '=', '.', ' ', '{', '}', '%', '\0', '\n', '\x80'}) {
        for (const std::size_t at : {std::size_t{0}, kRandomLength, kIdLength - 1}) {
            std::string changed = id;
            changed[at] = bad;
            EXPECT_FALSE(is_id(changed)) << changed;
        }
    }
}

TEST(SessionTag, TellsNamespacesAndUsersApart) {
    EXPECT_EQ(tag_of(kAnn), tag_of({.name_space = "default", .user_id = "ann"}));
    EXPECT_NE(tag_of(kAnn), tag_of({.name_space = "default", .user_id = "bob"}));
    EXPECT_NE(tag_of(kAnn), tag_of({.name_space = "other", .user_id = "ann"}));
    EXPECT_NE(tag_of({.name_space = "ab", .user_id = "c"}),
              tag_of({.name_space = "a", .user_id = "bc"}));
    EXPECT_NE(tag_of({.name_space = "1:a", .user_id = ""}),
              tag_of({.name_space = "1", .user_id = ":a"}));
}

TEST(SessionTag, SaysNothingOfTheUser) {
    const std::string tag = tag_of({.name_space = "default", .user_id = "ann@example.com"});
    EXPECT_EQ(tag.size(), kTagLength);
    EXPECT_FALSE(tag.contains("ann"));
}

} // namespace
} // namespace larder::session
