// task_runs as SQL. Pure: text and values, no connection.
#pragma once

#include "queues/ledger.hpp"
#include "queues/postgres/outcome.hpp"
#include "queues/postgres/statement.hpp"

#include <vector>

namespace celeriac::pg {

// Any number of processes may do so at once.
std::vector<Statement> create_ledger();

// Rows that are there already (sent twice after a loss) are left alone.
Statement insert_runs(const std::vector<LedgerRow>& rows);

Statement select_runs(const LedgerQuery& query);
std::vector<LedgerRow> read_runs(const Rows& rows, bool with_message);

Statement select_rates(double since);
std::vector<QueueRate> read_rates(const Rows& rows);

// Deletes up to `limit` runs that ended before then.
Statement expire_runs(double before, std::int32_t limit);

}  // namespace celeriac::pg
