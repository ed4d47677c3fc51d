// Regular expressions in linear time (RE2): the one home of that library. Immutable, any thread.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace larder::schema {

class Pattern {
public:
    Pattern(Pattern&&) noexcept;
    Pattern& operator=(Pattern&&) noexcept;
    ~Pattern();
    /// ECMA-262's expressions as far as RE2 has them: no look-around, no back references, at most
    /// 1,000 bytes, and bounded memory. kInvalidRequest with RE2's reason.
    static Result<Pattern> compile(std::string_view expression);
    /// Anywhere in `text`, as JSON Schema has it.
    [[nodiscard]] bool matches(std::string_view text) const;
    /// What a match against that many bytes may cost at worst, in steps of a check.
    [[nodiscard]] std::size_t steps(std::size_t bytes) const;

private:
    struct Compiled;
    explicit Pattern(std::unique_ptr<Compiled> compiled);
    std::unique_ptr<Compiled> compiled_;
};

} // namespace larder::schema
