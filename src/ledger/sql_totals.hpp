// The sums in SQLite. An added batch is known to be in the file or not to be, so that its sequence
// number isn't kept. One thread.
#pragma once

#include "ledger/totals_store.hpp"

#include <memory>
#include <string>

namespace larder::ledger {

class SqlTotals final : public TotalsStore {
public:
    explicit SqlTotals(std::string path);
    ~SqlTotals() override;
    Result<Sums> add(const Batch& batch, std::chrono::milliseconds within) override;
    Result<Sums> read(std::chrono::milliseconds within) override;

private:
    struct File;
    Result<Sums> with_file(const Batch* batch);

    const std::string path_;
    std::unique_ptr<File> file_;
};

} // namespace larder::ledger
