// From a TaskResult to a row. Pure.
#pragma once

#include "protocol/result.hpp"
#include "queues/postgres/result_table.hpp"

namespace celeriac::pg {

// The Error says what of this result can never be stored. A traceback or a name that PostgreSQL would
// refuse (NUL bytes, broken UTF-8, longer than its column) is mended instead: better an odd character than
// a lost result.
Expected<ResultRow> make_row(const TaskResult& result);

}  // namespace celeriac::pg
