// Tests of merged purges: order doesn't matter, nothing older stays valid, and bounds hold.
#include "cache/purges.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

namespace larder::cache {
namespace {

PurgeScope name_space(std::string name) {
    return {PurgeKind::kNamespace, std::move(name)};
}
PurgeScope model(std::string name) {
    return {PurgeKind::kModel, std::move(name)};
}

TEST(PurgeSet, APurgeOfEverythingCoversOlderOnes) {
    PurgeSet set;
    EXPECT_TRUE(set.empty());
    EXPECT_TRUE(set.merge({name_space("a"), 5}));
    EXPECT_TRUE(set.merge({name_space("b"), 9}));
    EXPECT_TRUE(set.merge({{}, 7}));
    EXPECT_EQ(set.of("a", "m"), (Generations{.all = 7, .name_space = 0, .model = 0}));
    EXPECT_EQ(set.of("b", "m"), (Generations{.all = 7, .name_space = 9, .model = 0}));
    EXPECT_EQ(set.of(name_space("a")), 7U);
    EXPECT_EQ(set.of(name_space("b")), 9U);
    EXPECT_EQ(set.of({}), 7U);
    EXPECT_FALSE(set.merge({model("m"), 6})) << "is covered";
    EXPECT_FALSE(set.merge({{}, 7}));
    EXPECT_EQ(set.list(), (std::vector<Purge>{{{}, 7}, {name_space("b"), 9}}));
    EXPECT_FALSE(set.empty());
}

TEST(PurgeSet, SaysTheSameInWhateverOrderItWasTold) {
    std::vector<Purge> purges{{{}, 3},
                              {{}, 6},
                              {name_space("a"), 2},
                              {name_space("a"), 8},
                              {name_space("b"), 9},
                              {model("a"), 7},
                              {model("c"), 6},
                              {model("d"), 1}};
    PurgeSet first;
    for (const Purge& purge : purges)
        first.merge(purge);
    std::mt19937 random(1);
    for (int i = 0; i < 200; ++i) {
        std::ranges::shuffle(purges, random);
        PurgeSet set;
        for (const Purge& purge : purges)
            set.merge(purge);
        ASSERT_EQ(set.list(), first.list());
    }
}

TEST(PurgeSet, ANewPurgeEndsWhatWasMadeBefore) {
    PurgeSet set;
    std::mt19937 random(2);
    std::vector<Generations> made;
    for (int i = 0; i < 300; ++i) {
        made.push_back(set.of("a", "m"));
        const auto kind = static_cast<PurgeKind>(random() % 3);
        const std::string name = kind == PurgeKind::kAll     ? ""
                                 : kind == PurgeKind::kModel ? "m"
                                                             : "a";
        set.raise({kind, name}, random() % 50); // the clock jumps
        ASSERT_EQ(std::ranges::count(made, set.of("a", "m")), 0);
    }
}

TEST(PurgeSet, StaysBoundedAndBecomesUsableAgain) {
    PurgeSet set;
    for (std::size_t i = 0; i < PurgeSet::kScopesMax; ++i)
        set.merge({i % 2 == 0 ? model(std::to_string(i)) : name_space(std::to_string(i)), 100 + i});
    EXPECT_EQ(set.list().size(), PurgeSet::kScopesMax);
    EXPECT_TRUE(set.merge({model("more"), 50})) << "is older than all, and still not lost";
    EXPECT_EQ(set.list().size(), PurgeSet::kScopesMax + 1);
    EXPECT_EQ(set.of("x", "more").all, 50U);
    const Purge purge = set.raise(model("again"), 0);
    EXPECT_EQ(purge.scope, PurgeScope{});
    EXPECT_EQ(set.list(), std::vector<Purge>{purge});
    EXPECT_EQ(set.raise(model("again"), 0).scope, model("again"));
}

TEST(PurgeSet, AnAbsurdNameIsEverything) {
    PurgeSet set;
    EXPECT_EQ(set.raise(model(std::string(PurgeSet::kNameBytesMax, 'x')), 5).scope.kind,
              PurgeKind::kModel);
    EXPECT_EQ(set.raise(model(std::string(PurgeSet::kNameBytesMax + 1, 'x')), 5).scope,
              PurgeScope{});
    EXPECT_EQ(set.of("a", "m").all, 6U);
}

TEST(PurgeSet, ATimeBeforeTheEpochIsNone) {
    PurgeSet set;
    EXPECT_EQ(set.raise({}, std::numeric_limits<std::int64_t>::min()).generation, 1U);
}

} // namespace
} // namespace larder::cache
