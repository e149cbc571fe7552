// The tables of django-celery-results as SQL: results as JSON text, chords counted in a row. Django's
// migrations own the tables; they are not created here. Pure: text and values, no connection.
#pragma once

#include "queues/postgres/result_layout.hpp"

namespace celeriac::pg {

class DjangoTable final : public ResultLayout {
 public:
  Expected<ResultRow> row(const TaskResult& result) const override;
  std::vector<Statement> create() const override { return {}; }
  Statement upsert(const std::vector<const ResultRow*>& rows) const override;
  Statement select(std::string_view task_id) const override;
  Expected<Json> read(std::string_view task_id, const Rows& rows) const override;
  Statement remove(std::string_view task_id) const override;
  Statement expire(double before, std::int32_t limit, bool groups) const override;

  bool counts_chords() const override { return true; }
  Statement begin_chord(std::string_view group_id, std::int64_t size) const override;
  Statement save_group(std::string_view group_id, const Json& result) const override;
  std::vector<Statement> end_part(const ChordPart& part) const override;
  Statement forget_chord(std::string_view group_id) const override;
};

}  // namespace celeriac::pg
