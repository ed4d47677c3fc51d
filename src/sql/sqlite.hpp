// SQLite behind the Database port: WAL, synchronous=NORMAL, a bounded wait for locks.
// A connection is used by one thread at a time.
#pragma once

#include "sql/database.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace larder::sql {

struct SqliteSettings {
    std::string path; // ":memory:" for none
    bool read_only = false;
    std::chrono::milliseconds busy_timeout{200};
    std::int64_t page_cache_kib = 512;
    /// Free pages can be given back with `PRAGMA incremental_vacuum`; only for a new file.
    bool incremental_vacuum = false;
    std::int64_t page_bytes = 4096; // only for a new file
    /// The write-ahead log is brought back into the file when it has so many pages.
    std::int64_t checkpoint_pages = 1000;
    std::int64_t max_pages = 0; // 0: no bound
};

/// Opens, or creates unless read-only.
Result<std::unique_ptr<Database>> open_sqlite(const SqliteSettings& settings);

/// Deletes the file with its log and its index. True when it is gone.
bool remove_sqlite(const std::string& path);

} // namespace larder::sql
