// Celery's two result tables as SQL: names, columns and types are those SQLAlchemy creates for
// Celery 5.6, so that Python and this program may come first in either order and share them.
// Pure: text and values, no connection.
#pragma once

#include "config/settings.hpp"
#include "queues/postgres/result_layout.hpp"

#include <string>

namespace celeriac::pg {

class ResultTable final : public ResultLayout {
 public:
  explicit ResultTable(const Settings& settings);

  Expected<ResultRow> row(const TaskResult& result) const override { return make_row(result); }
  std::vector<Statement> create() const override;
  Statement upsert(const std::vector<const ResultRow*>& rows) const override;
  Statement select(std::string_view task_id) const override;
  Expected<Json> read(std::string_view task_id, const Rows& rows) const override;
  Statement remove(std::string_view task_id) const override;
  Statement expire(double before, std::int32_t limit, bool groups) const override;

 private:
  std::string table_, group_table_;        // quoted, with their schemas
  std::string sequence_, group_sequence_;  // the same
  std::string index_, group_index_;        // quoted, without schema: an index lives beside its table
  std::string upsert_;
};

}  // namespace celeriac::pg
