// How results lie in PostgreSQL: the SQL of one set of tables, for postgres_backend.cpp. Pure.
#pragma once

#include "protocol/json.hpp"
#include "queues/database/result_row.hpp"
#include "queues/postgres/outcome.hpp"
#include "queues/postgres/statement.hpp"
#include "queues/result_backend.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace celeriac::pg {

class ResultLayout {
 public:
  virtual ~ResultLayout() = default;

  // The Error says what of this result can never be stored.
  virtual Expected<ResultRow> row(const TaskResult& result) const = 0;

  // Creates what is missing. Any number of processes, also Python ones, may do so at once.
  virtual std::vector<Statement> create() const = 0;

  // All rows in one statement; no task may be named twice. A stored SUCCESS gives way to another SUCCESS
  // only.
  virtual Statement upsert(const std::vector<const ResultRow*>& rows) const = 0;

  virtual Statement select(std::string_view task_id) const = 0;
  // The meta document from the answer to select(), which has a row.
  virtual Expected<Json> read(std::string_view task_id, const Rows& rows) const = 0;
  virtual Statement remove(std::string_view task_id) const = 0;

  // Deletes up to `limit` results (or saved groups) that ended before then, Unix seconds.
  virtual Statement expire(double before, std::int32_t limit, bool groups) const = 0;

  // Chords, as in queues/result_backend.hpp; only asked when counts_chords().
  virtual bool counts_chords() const { return false; }
  virtual Statement begin_chord(std::string_view group_id, std::int64_t size) const {
    (void)group_id, (void)size;
    return {};
  }
  virtual Statement save_group(std::string_view, const Json&) const { return {}; }
  // Counts a part whose result is stored. The last statement answers a row, with the result tuples of all
  // parts as JSON text, when every one has ended.
  virtual std::vector<Statement> end_part(const ChordPart&) const { return {}; }
  virtual Statement forget_chord(std::string_view) const { return {}; }
};

}  // namespace celeriac::pg
