// What waits to be written by one writer: bounded by count and bytes, one slot a key (the last
// value wins), and readable until it is written. Any thread.
#pragma once

#include "cache/entry.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace larder::cache {

struct Write {
    llm::Fingerprint key{};
    EntryPtr entry; // null: the key is erased
};

class WriteQueue {
public:
    struct Limits {
        std::size_t entries = 0;
        std::size_t bytes = 0;
        std::size_t batch_entries = 0;
        std::size_t batch_bytes = 0;
    };
    explicit WriteQueue(Limits limits) : limits_(limits) {}

    /// False when the queue is full: nothing was taken. Wakes the writer when a batch is whole, not
    /// for every value.
    bool push(const llm::Fingerprint& key, EntryPtr entry);
    /// What waits for `key`: an entry, null for an erasure; nothing when it doesn't wait.
    [[nodiscard]] std::optional<EntryPtr> find(const llm::Fingerprint& key) const;
    [[nodiscard]] std::vector<llm::Fingerprint> keys() const;
    [[nodiscard]] bool has_batch() const;
    [[nodiscard]] bool empty() const;

    // The writer's side. A batch that was taken is settled with one of `done` and `put_back`.
    std::vector<Write> take_batch();
    void done(const std::vector<Write>& batch);
    void put_back(const std::vector<Write>& batch);
    /// Waits until it is woken, or for `time`.
    void wait(std::chrono::milliseconds time);
    void wake();

private:
    struct Waiting {
        EntryPtr entry;
        std::size_t bytes = 0;
        bool queued = false; // else it is in the batch that is being written
    };
    const Limits limits_;
    mutable std::mutex mutex_;
    std::condition_variable woken_;
    bool wake_ = false;
    std::size_t bytes_ = 0;
    std::deque<llm::Fingerprint> order_;
    std::unordered_map<llm::Fingerprint, Waiting, Sha256Hash> waiting_;
};

} // namespace larder::cache
