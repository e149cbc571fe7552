// Celery's two result tables as SQL: names, columns and types are those SQLAlchemy creates for
// Celery 5.6, so that Python and this program may come first in either order and share them.
// Pure: text and values, no connection.
#pragma once

#include "config/settings.hpp"
#include "protocol/json.hpp"
#include "queues/database/result_row.hpp"
#include "queues/postgres/outcome.hpp"
#include "queues/postgres/statement.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac::pg {

class ResultTable {
 public:
  explicit ResultTable(const Settings& settings);

  // Creates what is missing. Any number of processes, also Python ones, may do so at once.
  std::vector<Statement> create() const;

  // All rows in one statement; no task may be named twice. A stored SUCCESS gives way to
  // another SUCCESS only.
  Statement upsert(const std::vector<const ResultRow*>& rows) const;

  Statement select(std::string_view task_id) const;
  Statement remove(std::string_view task_id) const;

  // Deletes up to `limit` rows of the task table (or the group table) that ended before then.
  Statement expire(double before, std::int32_t limit, bool groups) const;

  // The meta document from the answer to select().
  static Expected<Json> read(std::string_view task_id, const Rows& rows);

 private:
  std::string table_, group_table_;        // quoted, with their schemas
  std::string sequence_, group_sequence_;  // the same
  std::string index_, group_index_;        // quoted, without schema: an index lives beside its table
  std::string upsert_;
};

}  // namespace celeriac::pg
