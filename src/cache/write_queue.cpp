// A map of what waits and the order of its keys. A key that is put again while it is being written
// is queued again; so each key has at most one place in the order.
#include "cache/write_queue.hpp"

namespace larder::cache {
namespace {

constexpr std::size_t kSlotBytes = 128; // a node of the map and its place in the order

std::size_t cost_of(const EntryPtr& entry) {
    return kSlotBytes + (entry == nullptr ? 0 : entry->bytes());
}

} // namespace

bool WriteQueue::push(const llm::Fingerprint& key, EntryPtr entry) {
    const std::size_t cost = cost_of(entry);
    EntryPtr replaced; // destroyed after the lock is released
    const std::lock_guard lock(mutex_);
    auto found = waiting_.find(key);
    const std::size_t freed = found == waiting_.end() ? 0 : found->second.bytes;
    if (bytes_ - freed + cost > limits_.bytes)
        return false;
    if (found == waiting_.end()) {
        if (waiting_.size() >= limits_.entries)
            return false;
        found = waiting_.try_emplace(key).first;
    }
    auto& waiting = found->second;
    bytes_ = bytes_ - freed + cost;
    replaced = std::exchange(waiting.entry, std::move(entry));
    waiting.bytes = cost;
    if (!waiting.queued) {
        waiting.queued = true;
        order_.push_back(key);
        if (order_.size() == limits_.batch_entries) {
            wake_ = true;
            woken_.notify_one();
        }
    }
    return true;
}

std::optional<EntryPtr> WriteQueue::find(const llm::Fingerprint& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(key);
    if (found == waiting_.end())
        return std::nullopt;
    return found->second.entry;
}

std::vector<llm::Fingerprint> WriteQueue::keys() const {
    const std::lock_guard lock(mutex_);
    std::vector<llm::Fingerprint> keys;
    keys.reserve(waiting_.size());
    for (const auto& [key, waiting] : waiting_)
        keys.push_back(key);
    return keys;
}

bool WriteQueue::has_batch() const {
    const std::lock_guard lock(mutex_);
    return order_.size() >= limits_.batch_entries;
}

bool WriteQueue::empty() const {
    const std::lock_guard lock(mutex_);
    return waiting_.empty();
}

std::vector<Write> WriteQueue::take_batch() {
    std::vector<Write> batch;
    std::size_t bytes = 0;
    const std::lock_guard lock(mutex_);
    while (!order_.empty() && batch.size() < limits_.batch_entries) {
        auto& waiting = waiting_.find(order_.front())->second;
        if (!batch.empty() && bytes + waiting.bytes > limits_.batch_bytes)
            break;
        bytes += waiting.bytes;
        waiting.queued = false;
        batch.push_back({order_.front(), waiting.entry});
        order_.pop_front();
    }
    return batch;
}

void WriteQueue::done(const std::vector<Write>& batch) {
    std::vector<EntryPtr> leaving; // destroyed after the lock is released
    leaving.reserve(batch.size());
    const std::lock_guard lock(mutex_);
    for (const auto& write : batch) {
        const auto found = waiting_.find(write.key);
        if (found->second.queued)
            continue; // put again meanwhile
        bytes_ -= found->second.bytes;
        leaving.push_back(std::move(found->second.entry));
        waiting_.erase(found);
    }
}

void WriteQueue::put_back(const std::vector<Write>& batch) {
    const std::lock_guard lock(mutex_);
    for (auto write = batch.rbegin(); write != batch.rend(); ++write) {
        auto& waiting = waiting_.find(write->key)->second;
        if (waiting.queued)
            continue;
        waiting.queued = true;
        order_.push_front(write->key);
    }
}

void WriteQueue::wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, time, [this] { return wake_; });
    wake_ = false;
}

void WriteQueue::wake() {
    const std::lock_guard lock(mutex_);
    wake_ = true;
    woken_.notify_one();
}

} // namespace larder::cache
