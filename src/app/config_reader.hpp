// Typed reading of a YAML tree by tables of keys. Collects every mistake with its line; messages
// show what the file says, never what an environment variable holds. One thread.
#pragma once

#include "app/config.hpp"
#include "app/yaml_tree.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::app {

class ConfigReader;

/// A key, declared once: where it stands, what it takes, and how it is read into a T.
template <class T> struct KeySpec {
    std::string_view path; // "cache.ttl", below the table's own place
    std::string_view type; // for the documentation
    std::string_view default_value;
    std::string_view help;
    void (*read)(ConfigReader& reader, const YamlNode& node, T& target);
};

template <class T> struct Choice {
    std::string_view name;
    T value;
};

template <class T> struct Range {
    T min;
    T max;
};

class ConfigReader {
public:
    ConfigReader(std::string_view file_name, const Environment& environment)
        : file_name_(file_name), environment_(environment) {}

    /// Reads a map by its table; keys that the table lacks are mistakes.
    template <class T>
    void read_map(const YamlNode& node, std::span<const KeySpec<T>> keys, T& target) {
        std::vector<std::string_view> paths;
        for (const KeySpec<T>& key : keys)
            paths.push_back(key.path);
        visit_map(node, paths, "", [&](std::size_t index, const YamlNode& value) {
            keys[index].read(*this, value, target);
        });
    }
    /// Runs `visit(name, value)` for a map of names of the operator's own, each under its path.
    void for_each_named(const YamlNode& node,
                        const std::function<void(const std::string&, const YamlNode&)>& visit);
    void for_each_item(const YamlNode& node, const std::function<void(const YamlNode&)>& visit);

    /// These leave `out` as it is when the node does not fit, and say so.
    void read(const YamlNode& node, std::string& out);
    void read(const YamlNode& node, bool& out);
    void read(const YamlNode& node, std::int64_t& out, Range<std::int64_t> range);
    void read(const YamlNode& node, int& out, Range<int> range);
    void read(const YamlNode& node, milliseconds& out, Range<milliseconds> range);
    void read(const YamlNode& node, std::uint64_t& out, Range<std::uint64_t> range);
    void read(const YamlNode& node, std::vector<std::string>& out);
    template <class T>
    void read(const YamlNode& node, T& out, std::initializer_list<Choice<T>> choices) {
        const auto name = scalar(node, "text");
        if (!name)
            return;
        std::string known;
        for (const Choice<T>& choice : choices) {
            if (choice.name == *name) {
                out = choice.value;
                return;
            }
            known += (known.empty() ? "" : ", ") + std::string(choice.name);
        }
        mistake(node, quoted(node) + " is not known; known are " + known);
    }

    /// The scalar with its variables put in. nullopt: a mistake that has been said, or an unset
    /// variable that may be (see `missing_variable`).
    std::optional<std::string> scalar(const YamlNode& node, std::string_view expected);
    /// A text without line breaks and control characters.
    std::optional<std::string> text(const YamlNode& node);

    /// While `tolerant`, an unset variable is no mistake: its name is kept instead.
    void set_tolerant(bool tolerant) { tolerant_ = tolerant; }
    [[nodiscard]] bool tolerant() const { return tolerant_; }
    std::string take_missing_variable() { return std::exchange(missing_variable_, {}); }

    /// A mistake at the current key, on the node's line.
    void mistake(const YamlNode& node, std::string text);
    void mistake_at(int line, std::string_view path, std::string text);
    void add_mistakes(const std::vector<YamlMistake>& mistakes);
    /// A mistake outside the file.
    void environment_mistake(std::string_view variable, std::string_view text);
    [[nodiscard]] std::size_t mistake_count() const { return mistakes_.size(); }
    [[nodiscard]] bool has_mistakes() const { return !mistakes_.empty(); }
    /// All mistakes by line, as one message.
    [[nodiscard]] Error error() const;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::optional<std::string> variable(std::string_view name) const;

    static std::string quoted(const YamlNode& node) { return "'" + node.scalar + "'"; }

private:
    struct Mistake {
        int line; // 0: not in the file
        std::size_t order;
        std::string text;
    };

    void visit_map(const YamlNode& node, std::span<const std::string_view> paths,
                   const std::string& below,
                   const std::function<void(std::size_t, const YamlNode&)>& visit);
    void unknown_key(const YamlNode& node, std::span<const std::string_view> paths,
                     std::string_view path, std::string_view place);
    void add(int line, std::string text);
    std::optional<std::string> expand(const YamlNode& node);
    std::optional<std::int64_t> integer(const YamlNode& node);
    void wrong_type(const YamlNode& node, std::string_view expected);

    std::string file_name_;
    const Environment& environment_;
    std::string path_;
    std::vector<Mistake> mistakes_;
    bool tolerant_ = false;
    std::string missing_variable_;
};

} // namespace larder::app
