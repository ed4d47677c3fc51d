// Entries: their wire forms in a lock-free list, their size, and their byte form.
#include "cache/entry.hpp"

#include <array>
#include <concepts>
#include <cstddef>

namespace larder::cache {

struct Entry::FormNode {
    std::size_t index;
    std::unique_ptr<const WireForm> made;
    const FormNode* next;
};

namespace {

constexpr char kFormat = 1;
/// What the allocator adds to a block, and the control block of a shared_ptr.
constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kControlBytes = 16;
/// More than any real entry has; the body is bounded by `cache.max_entry` before it gets here.
constexpr std::size_t kTextBytesMax = 1 << 16;
constexpr std::size_t kBodyBytesMax = 1 << 30;

std::size_t heap_bytes(const std::string& text) {
    constexpr std::size_t kInline = 15;
    return text.capacity() <= kInline ? 0 : text.capacity() + 1 + kBlockBytes;
}

/// Integers are 8 bytes, little endian; texts are a length and their bytes.
class Writer {
public:
    explicit Writer(std::size_t expected) { out_.reserve(expected); }
    void byte(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
    void number(std::uint64_t value) {
        std::array<char, 8> bytes{};
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<char>(value >> (8 * i) & 0xff);
        out_.append(bytes.data(), bytes.size());
    }
    void number(std::int64_t value) { number(static_cast<std::uint64_t>(value)); }
    void text(std::string_view value) {
        number(static_cast<std::uint64_t>(value.size()));
        out_.append(value);
    }
    std::string take() { return std::move(out_); }

private:
    std::string out_;
};

/// Once something was missing, everything after it reads as empty and `ok` is false.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    std::uint8_t byte() {
        const auto bytes = take(1);
        return bytes.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(bytes[0]);
    }
    std::uint64_t number() {
        std::uint64_t value = 0;
        const auto bytes = take(8);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
        return value;
    }
    std::int64_t signed_number() { return static_cast<std::int64_t>(number()); }
    std::string_view text(std::size_t bytes_max) {
        const std::uint64_t size = number();
        if (size > bytes_max) {
            ok_ = false;
            return {};
        }
        return take(static_cast<std::size_t>(size));
    }
    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }

private:
    std::string_view take(std::size_t size) {
        if (!ok_ || size > rest_.size()) {
            ok_ = false;
            return {};
        }
        const auto bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return bytes;
    }
    std::string_view rest_;
    bool ok_ = true;
};

} // namespace

Entry::~Entry() {
    const FormNode* node = forms_.load(std::memory_order_acquire);
    while (node != nullptr) {
        const std::unique_ptr<const FormNode> owned(node);
        node = node->next;
    }
}

const WireForm* Entry::wire_form(std::size_t index) const noexcept {
    for (const auto* node = forms_.load(std::memory_order_acquire); node != nullptr;
         node = node->next) {
        if (node->index == index)
            return node->made.get();
    }
    return nullptr;
}

const WireForm* Entry::set_wire_form(std::size_t index,
                                     std::unique_ptr<const WireForm> made) const {
    LARDER_ASSERT(index < kForms && made != nullptr);
    const FormNode* head = forms_.load(std::memory_order_acquire);
    auto node = std::make_unique<FormNode>(index, std::move(made), head);
    for (;;) {
        if (const auto* kept = wire_form(index))
            return kept;
        // A form of another index may have come first: look again, from the new head.
        if (forms_.compare_exchange_strong(node->next, node.get(), std::memory_order_acq_rel,
                                           std::memory_order_acquire))
            return node.release()->made.get();
    }
}

std::size_t Entry::bytes() const {
    std::size_t total = sizeof(Entry) + kControlBytes + kBlockBytes / 2 + body.size();
    for (const Label* label :
         {&name_space, &provider, &model, &answer_model, &finish_reason, &content_type})
        total += label->own_bytes();
    return total;
}

std::size_t Entry::bytes_of(const WireForm& form) {
    return sizeof(FormNode) + sizeof(WireForm) + 2 * kBlockBytes + heap_bytes(form.head) +
           heap_bytes(form.body);
}

std::size_t Entry::wire_form_bytes() const {
    std::size_t total = 0;
    for (const auto* node = forms_.load(std::memory_order_acquire); node != nullptr;
         node = node->next)
        total += bytes_of(*node->made);
    return total;
}

std::string encode_entry(const Entry& entry) {
    constexpr std::size_t kFixedBytes = 256;
    constexpr std::size_t kUsualTextBytes = 128;
    Writer out(kFixedBytes + kUsualTextBytes + entry.body.size());
    out.byte(kFormat);
    out.byte(entry.dialect);
    out.byte(static_cast<std::uint8_t>(entry.form));
    out.byte(static_cast<std::uint8_t>((entry.priced ? 1 : 0) | (entry.usage.exact ? 2 : 0)));
    for (const std::int64_t value :
         {entry.created_ms, entry.fresh_until_ms, entry.stale_until_ms, entry.usage.input,
          entry.usage.cached_input, entry.usage.cache_write, entry.usage.cache_write_1h,
          entry.usage.output, entry.usage.reasoning, entry.cost.picodollars})
        out.number(value);
    out.number(entry.generations.all);
    out.number(entry.generations.name_space);
    out.number(entry.generations.model);
    for (const Label* label : {&entry.name_space, &entry.provider, &entry.model,
                               &entry.answer_model, &entry.finish_reason, &entry.content_type})
        out.text(label->view().substr(0, kTextBytesMax));
    out.text(entry.body);
    return out.take();
}

Result<EntryPtr> decode_entry(std::string_view bytes, std::int64_t asked_ms) {
    Reader in(bytes);
    if (in.byte() != kFormat)
        return fail(ErrorCode::kStore, "the entry has an unknown format");
    auto entry = std::make_shared<Entry>();
    entry->asked_ms = asked_ms;
    entry->dialect = in.byte();
    const std::uint8_t kept = in.byte();
    const std::uint8_t flags = in.byte();
    if (kept > static_cast<std::uint8_t>(PrimaryForm::kStream) || flags > 3)
        return fail(ErrorCode::kStore, "the entry is damaged");
    entry->form = static_cast<PrimaryForm>(kept);
    entry->priced = (flags & 1) != 0;
    entry->usage.exact = (flags & 2) != 0;
    for (std::int64_t* value :
         {&entry->created_ms, &entry->fresh_until_ms, &entry->stale_until_ms, &entry->usage.input,
          &entry->usage.cached_input, &entry->usage.cache_write, &entry->usage.cache_write_1h,
          &entry->usage.output, &entry->usage.reasoning, &entry->cost.picodollars})
        *value = in.signed_number();
    entry->generations.all = in.number();
    entry->generations.name_space = in.number();
    entry->generations.model = in.number();
    for (Label* label : {&entry->name_space, &entry->provider, &entry->model, &entry->answer_model,
                         &entry->finish_reason, &entry->content_type})
        *label = in.text(kTextBytesMax);
    entry->body = in.text(kBodyBytesMax);
    if (!in.ok() || !in.at_end())
        return fail(ErrorCode::kStore, "the entry is damaged");
    return entry;
}

} // namespace larder::cache
