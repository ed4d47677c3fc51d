// Lines, duplicates, bombs, and everything that is no YAML.
#include "app/yaml_tree.hpp"

#include <gtest/gtest.h>

#include <random>

namespace larder::app {
namespace {

YamlNode good(std::string_view text) {
    std::vector<YamlMistake> mistakes;
    YamlNode root = read_yaml(text, mistakes);
    EXPECT_TRUE(mistakes.empty()) << text << ": " << mistakes.front().text;
    return root;
}

std::string first_mistake(std::string_view text) {
    std::vector<YamlMistake> mistakes;
    read_yaml(text, mistakes);
    if (mistakes.empty())
        return "none";
    return std::to_string(mistakes[0].line) + ": " + mistakes[0].text;
}

TEST(YamlTree, KnowsTheLineOfEveryKey) {
    const YamlNode root = good("# comment\na: 1\n\nb:\n  c: [x,\n      y]\n  d:\n    e: z\n");
    EXPECT_EQ(root.find("a")->line, 2);
    EXPECT_EQ(root.find("b")->line, 4);
    EXPECT_EQ(root.find("b")->find("c")->line, 5);
    EXPECT_EQ(root.find("b")->find("c")->items[0].line, 5);
    EXPECT_EQ(root.find("b")->find("c")->items[1].line, 6);
    EXPECT_EQ(root.find("b")->find("d")->find("e")->line, 8);
    EXPECT_EQ(root.find("nothing"), nullptr);
}

TEST(YamlTree, TellsTextFromPlainScalars) {
    const YamlNode root = good("a: 5\nb: '5'\nc: \"5\"\nd:\ne: ~\n");
    EXPECT_FALSE(root.find("a")->quoted);
    EXPECT_TRUE(root.find("b")->quoted);
    EXPECT_TRUE(root.find("c")->quoted);
    EXPECT_EQ(root.find("d")->kind, YamlNode::Kind::kNull);
    EXPECT_EQ(root.find("e")->kind, YamlNode::Kind::kNull);
}

TEST(YamlTree, TakesNothingAsAnEmptyMap) {
    for (const auto* text : {"", "\n\n", "# only a comment", "---\n", "---\n...\n"}) {
        const YamlNode root = good(text);
        EXPECT_EQ(root.kind, YamlNode::Kind::kMap) << text;
        EXPECT_TRUE(root.entries.empty());
    }
}

TEST(YamlTree, RefusesWithALine) {
    EXPECT_EQ(first_mistake("a: 1\nb: 2\na: 3\n"), "3: 'a' is given twice (first on line 1)");
    EXPECT_EQ(first_mistake("a: {b: 1, b: 2}"), "1: 'b' is given twice (first on line 1)");
    EXPECT_EQ(first_mistake("a: 1\n---\nb: 2\n"), "3: the file holds more than one document");
    EXPECT_EQ(first_mistake("a: 1\nb: !!str 5\n"), "2: tags (!…) are not supported");
    EXPECT_EQ(first_mistake("a: 1\n[1, 2]: 5\n"), "2: a key must be text");
    EXPECT_TRUE(first_mistake("a: 1\nb: [1, 2\n").find("not valid YAML") != std::string::npos);
    EXPECT_TRUE(first_mistake("a: 1\n\tb: 2\n").starts_with("2: not valid YAML"));
    EXPECT_TRUE(first_mistake("a: *nobody\n").starts_with("1: not valid YAML"));
}

TEST(YamlTree, FollowsAnAlias) {
    const YamlNode root = good("a: &x [1, 2]\nb: *x\n");
    ASSERT_EQ(root.find("b")->items.size(), 2U);
    EXPECT_EQ(root.find("b")->items[1].scalar, "2");
    EXPECT_EQ(root.find("b")->line, 2);
}

TEST(YamlTree, StopsAnAliasBomb) {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        const std::string before = "*a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
        for (int j = 0; j < 9; ++j)
            bomb += ", " + before;
        bomb += "]\n";
    }
    EXPECT_NE(first_mistake(bomb).find("more than 20000 values"), std::string::npos);
    EXPECT_NE(first_mistake("a: &a [*a]\n").find("alias"), std::string::npos);
}

TEST(YamlTree, BoundsDepthSizeAndCount) {
    EXPECT_NE(first_mistake(std::string(100, '[')).find("levels"), std::string::npos);
    EXPECT_NE(first_mistake(std::string(500'000, '[')).find("levels"), std::string::npos);
    EXPECT_NE(first_mistake(std::string(500'000, '{')), "none");
    EXPECT_NE(first_mistake(std::string((1U << 20) + 1, ' ')).find("1 MiB"), std::string::npos);
    std::string many = "a: [";
    for (int i = 0; i < 30'000; ++i)
        many += "x,";
    EXPECT_NE(first_mistake(many + "]").find("20000 values"), std::string::npos);
}

TEST(YamlTree, SurvivesRandomBytesAndEveryPrefix) {
    std::mt19937 random(11);
    constexpr std::string_view kAlphabet = "ab:-[]{}&*!|>'\"#%@`,? \n\t~<0\\\xff";
    for (int i = 0; i < 20'000; ++i) {
        std::string text(random() % 40, ' ');
        for (char& c : text)
            c = kAlphabet[random() % kAlphabet.size()];
        std::vector<YamlMistake> mistakes;
        read_yaml(text, mistakes);
    }
    const std::string whole = "a: &x {b: [1, \"two\\n\", 'three'], c: |\n  text\n}\nd: *x\n";
    for (std::size_t length = 0; length <= whole.size(); ++length) {
        std::vector<YamlMistake> mistakes;
        read_yaml(std::string(whole, 0, length), mistakes);
    }
}

} // namespace
} // namespace larder::app
