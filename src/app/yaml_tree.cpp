// yaml-cpp's events into a tree. The only file that knows yaml-cpp.
#include "app/yaml_tree.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace larder::app {

namespace {

constexpr std::size_t kNodesMax = 20'000;
constexpr std::size_t kDepthMax = 32;

/// Ends the parse from within a callback; never leaves this file.
struct StopReading {};

std::size_t nodes_of(const YamlNode& node) {
    std::size_t count = 1;
    for (const YamlNode& item : node.items)
        count += nodes_of(item);
    for (const YamlEntry& entry : node.entries)
        count += nodes_of(entry.value);
    return count;
}

std::size_t depth_of(const YamlNode& node) {
    std::size_t deepest = 0;
    for (const YamlNode& item : node.items)
        deepest = std::max(deepest, depth_of(item));
    for (const YamlEntry& entry : node.entries)
        deepest = std::max(deepest, depth_of(entry.value));
    return deepest + 1;
}

class TreeBuilder final : public YAML::EventHandler {
public:
    explicit TreeBuilder(std::vector<YamlMistake>& mistakes) : mistakes_(mistakes) {}

    YamlNode take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        add({.kind = YamlNode::Kind::kNull, .line = line_of(mark)}, anchor);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        refuse_tag(mark, tag);
        add({.kind = YamlNode::Kind::kScalar,
             .quoted = tag == "!",
             .line = line_of(mark),
             .scalar = value},
            anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end())
            stop(mark, "an alias to something that contains it");
        const YamlNode copy = found->second;
        nodes_ += nodes_of(copy);
        if (open_.size() + depth_of(copy) > kDepthMax)
            stop(mark, "more than " + std::to_string(kDepthMax) + " levels");
        add(copy, 0);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value /*style*/) override {
        open(mark, tag, anchor, YamlNode::Kind::kList);
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value /*style*/) override {
        open(mark, tag, anchor, YamlNode::Kind::kMap);
    }
    void OnMapEnd() override { close(); }

private:
    struct Open {
        YamlNode node;
        YAML::anchor_t anchor = 0;
        std::optional<YamlNode> key; // of a map: read, and its value is next
    };

    static int line_of(const YAML::Mark& mark) { return std::max(mark.line, 0) + 1; }

    [[noreturn]] void stop(const YAML::Mark& mark, std::string text) {
        mistakes_.push_back({line_of(mark), std::move(text)});
        throw StopReading{};
    }

    void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
        if (!tag.empty() && tag != "?" && tag != "!")
            mistakes_.push_back({line_of(mark), "tags (!…) are not supported"});
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              YamlNode::Kind kind) {
        refuse_tag(mark, tag);
        if (open_.size() >= kDepthMax)
            stop(mark, "more than " + std::to_string(kDepthMax) + " levels");
        open_.push_back({.node = {.kind = kind, .line = line_of(mark)}, .anchor = anchor});
    }

    void close() {
        Open done = std::move(open_.back());
        open_.pop_back();
        add(std::move(done.node), done.anchor);
    }

    void add(YamlNode node, YAML::anchor_t anchor) {
        if (++nodes_ > kNodesMax) {
            mistakes_.push_back({node.line, "more than " + std::to_string(kNodesMax) + " values"});
            throw StopReading{};
        }
        if (anchor != 0)
            anchors_[anchor] = node;
        if (open_.empty()) {
            root_ = std::move(node);
            return;
        }
        Open& parent = open_.back();
        if (parent.node.kind == YamlNode::Kind::kList) {
            parent.node.items.push_back(std::move(node));
        } else if (!parent.key) {
            parent.key = std::move(node);
        } else {
            add_entry(parent.node, *std::exchange(parent.key, std::nullopt), std::move(node));
        }
    }

    void add_entry(YamlNode& map, YamlNode key, YamlNode value) {
        if (key.kind != YamlNode::Kind::kScalar) {
            mistakes_.push_back({key.line, "a key must be text"});
            return;
        }
        if (const YamlNode* earlier = map.find(key.scalar)) {
            mistakes_.push_back({key.line, "'" + key.scalar + "' is given twice (first on line " +
                                               std::to_string(earlier->line) + ")"});
            return;
        }
        value.line = key.line;
        map.entries.push_back({std::move(key.scalar), std::move(value)});
    }

    std::vector<YamlMistake>& mistakes_;
    YamlNode root_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, YamlNode> anchors_;
    std::size_t nodes_ = 0;
};

} // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
    const auto found = std::ranges::find(entries, key, &YamlEntry::key);
    return found == entries.end() ? nullptr : &found->value;
}

YamlNode read_yaml(std::string_view text, std::vector<YamlMistake>& mistakes) {
    if (text.size() > kYamlBytesMax) {
        mistakes.push_back({1, "the file is over 1 MiB"});
        return {.kind = YamlNode::Kind::kMap};
    }
    TreeBuilder builder(mistakes);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        parser.HandleNextDocument(builder);
        TreeBuilder second(mistakes);
        if (mistakes.empty() && parser.HandleNextDocument(second))
            mistakes.push_back({second.take().line, "the file holds more than one document"});
    } catch (const StopReading&) {
        return {.kind = YamlNode::Kind::kMap};
    } catch (const YAML::Exception& error) {
        mistakes.push_back(
            {error.mark.is_null() ? 1 : error.mark.line + 1, "not valid YAML: " + error.msg});
        return {.kind = YamlNode::Kind::kMap};
    }
    YamlNode root = builder.take();
    if (root.kind == YamlNode::Kind::kNull)
        root.kind = YamlNode::Kind::kMap;
    return root;
}

} // namespace larder::app
