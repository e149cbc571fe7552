// task_runs as SQL. Pure: text and values, no connection.
#pragma once

#include "queues/ledger.hpp"
#include "queues/postgres/outcome.hpp"
#include "queues/postgres/statement.hpp"

#include <string>
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

// Runs that go on, in a table of their own.
Statement open_runs(const std::string& holder, const std::vector<LedgerRow>& rows);
Statement keep_runs_open(const std::string& holder);
Statement close_runs(const std::string& holder, const std::vector<LedgerRow>& rows);
// Those that nobody has told of for so many seconds become LOST, unless their end was recorded.
Statement end_lost_runs(int seconds);

// Deletes up to `limit` runs that ended before then.
Statement expire_runs(double before, std::int32_t limit);

}  // namespace celeriac::pg
