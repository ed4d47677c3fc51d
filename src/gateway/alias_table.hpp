// Equal bytes need no second parse: from the SHA-256 of a validated request, as it came, to the key
// of its answer. A bounded table per thread; a newer alias simply takes the place of an older one.
#pragma once

#include "base/hash.hpp"
#include "gateway/wire_forms.hpp"
#include "llm/fingerprint.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace larder::gateway {

struct Alias {
    Sha256 request{};
    llm::Fingerprint key{};
    ClientForm form = ClientForm::kLlmPlain;
    bool used = false;
};

class AliasTable {
public:
    /// nullptr when the request is not known.
    [[nodiscard]] const Alias* find(const Sha256& request) const {
        if (slots_.empty())
            return nullptr;
        const Alias& slot = slots_[index_of(request)];
        return slot.used && slot.request == request ? &slot : nullptr;
    }
    void put(const Sha256& request, const llm::Fingerprint& key, ClientForm form) {
        if (slots_.empty())
            slots_.resize(kSlots);
        slots_[index_of(request)] = {.request = request, .key = key, .form = form, .used = true};
    }

private:
    static constexpr std::size_t kSlots = 16UL * 1024; // 72 B each, made when the first alias comes
    static std::size_t index_of(const Sha256& request) { return Sha256Hash()(request) % kSlots; }
    std::vector<Alias> slots_;
};

} // namespace larder::gateway
