#include "session/merge_patch.hpp"

#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace larder::session {
namespace {

void begin_member(std::string& out, std::string_view name) {
    if (!out.ends_with('{'))
        out += ',';
    json::write_string(out, name);
    out += ':';
}

/// Appends the result for one value. The depth is bounded by the parser's.
void merge(std::string& out, std::optional<json::Value> target, json::Value patch) {
    if (!patch.is(json::Kind::kObject)) {
        out += patch.raw();
        return;
    }
    out += '{';
    std::unordered_set<std::string> existing;
    if (target && target->is(json::Kind::kObject)) {
        std::unordered_map<std::string, json::Value> changes;
        patch.for_each_member([&](std::string_view name, json::Value value) {
            changes.emplace(name, value);
            return true;
        });
        target->for_each_member([&](std::string_view name, json::Value value) {
            const auto change = changes.find(std::string(name));
            if (change == changes.end()) {
                begin_member(out, name);
                out += value.raw();
                return true;
            }
            existing.emplace(name);
            if (!change->second.is(json::Kind::kNull)) {
                begin_member(out, name);
                merge(out, value, change->second);
            }
            return true;
        });
    }
    patch.for_each_member([&](std::string_view name, json::Value value) {
        if (!value.is(json::Kind::kNull) && !existing.contains(std::string(name))) {
            begin_member(out, name);
            merge(out, std::nullopt, value);
        }
        return true;
    });
    out += '}';
}

} // namespace

std::string merge_patch(json::Value target, json::Value patch) {
    std::string out;
    out.reserve(target.raw().size() + patch.raw().size());
    merge(out, target, patch);
    return out;
}

} // namespace larder::session
