// Paths into large values: they lead where they do in small ones, and take no time for each.
#include "workflow/path_index.hpp"

#include <gtest/gtest.h>

namespace larder::workflow {
namespace {

/// What stands at a path, as JSON.
std::string at(PathIndex& index, const json::Document& document, std::vector<std::string> path) {
    const auto value = index.follow(document.root(), path);
    return value ? std::string(value->raw()) : "nothing";
}

std::string list_of(int size) {
    std::string text = "[";
    for (int i = 0; i < size; ++i)
        text += (i > 0 ? "," : "") + std::to_string(i);
    return text + "]";
}

std::string object_of(int size) {
    std::string text = "{";
    for (int i = 0; i < size; ++i)
        text += "\"k" + std::to_string(i) + "\":{\"a\":" + std::to_string(i) + "},";
    return text + "\"\\u006c\\\"\":" + list_of(size) + "}";
}

TEST(PathIndex, LeadsToTheSameInSmallAndLargeValues) {
    for (const int size : {3, 31, 32, 33, 1'000}) {
        const std::string text = object_of(size);
        const auto document = json::parse(text);
        ASSERT_TRUE(document.has_value());
        PathIndex index;
        const std::string last = std::to_string(size - 1);
        for (int round = 0; round < 2; ++round) { // built, then found
            EXPECT_EQ(at(index, *document, {}), text);
            EXPECT_EQ(at(index, *document, {"k0", "a"}), "0");
            EXPECT_EQ(at(index, *document, {"k" + last, "a"}), last);
            EXPECT_EQ(at(index, *document, {"l\"", "0"}), "0");
            EXPECT_EQ(at(index, *document, {"l\"", last}), last);
            EXPECT_EQ(at(index, *document, {"l\"", std::to_string(size)}), "nothing");
            EXPECT_EQ(at(index, *document, {"l\"", "01"}), "nothing");
            EXPECT_EQ(at(index, *document, {"l\"", "-1"}), "nothing");
            EXPECT_EQ(at(index, *document, {"l\"", ""}), "nothing");
            EXPECT_EQ(at(index, *document, {"k0", "b"}), "nothing");
            EXPECT_EQ(at(index, *document, {"k0", "a", "a"}), "nothing");
            EXPECT_EQ(at(index, *document, {"k" + std::to_string(size)}), "nothing");
        }
    }
}

} // namespace
} // namespace larder::workflow
