#include "queues/postgres/result_table.hpp"

#include "protocol/time.hpp"

#include <charconv>

namespace celeriac::pg {
namespace {

std::string setting(const std::map<std::string, std::string>& values, const char* key,
                    const char* otherwise) {
  auto found = values.find(key);
  return found == values.end() || found->second.empty() ? otherwise : found->second;
}

std::string qualified(const std::string& schema, const std::string& name) {
  return (schema.empty() ? "" : quote_identifier(schema) + ".") + quote_identifier(name);
}

// Creation is one PL/pgSQL block: looked for first (the role may lack the right to create), then under a
// lock among ourselves. Python does not take that lock; losing against it is as good as having created.
std::string create_block(const std::string& table, const std::string& sequence, const std::string& index,
                         const std::string& columns) {
  const std::string name = quote_literal(table);
  return "BEGIN IF to_regclass(" + name +
         ") IS NULL THEN "
         "PERFORM pg_advisory_xact_lock(hashtextextended('celeriac.' || " +
         name +
         ", 0)); "
         "IF to_regclass(" +
         name +
         ") IS NULL THEN BEGIN "
         "CREATE SEQUENCE IF NOT EXISTS " +
         sequence +
         " START WITH 1; "
         "CREATE TABLE " +
         table + " (" + columns +
         "); "
         "CREATE INDEX IF NOT EXISTS " +
         index + " ON " + table +
         " (date_done); "
         "EXCEPTION WHEN duplicate_table OR duplicate_object OR unique_violation THEN NULL; "
         "END; END IF; END IF; END";
}

constexpr const char* task_columns =
    "id INTEGER NOT NULL, task_id VARCHAR(155), status VARCHAR(50), result BYTEA, "
    "date_done TIMESTAMP WITHOUT TIME ZONE, traceback TEXT, name VARCHAR(155), args BYTEA, kwargs BYTEA, "
    "worker VARCHAR(155), retries INTEGER, queue VARCHAR(155), PRIMARY KEY (id), UNIQUE (task_id)";
constexpr const char* group_columns =
    "id INTEGER NOT NULL, taskset_id VARCHAR(155), result BYTEA, date_done TIMESTAMP WITHOUT TIME ZONE, "
    "PRIMARY KEY (id), UNIQUE (taskset_id)";

}  // namespace

ResultTable::ResultTable(const Settings& settings) {
  const std::string task_schema = setting(settings.database_table_schemas, "task", "");
  const std::string group_schema = setting(settings.database_table_schemas, "group", "");
  table_ = qualified(task_schema, setting(settings.database_table_names, "task", "celery_taskmeta"));
  group_table_ =
      qualified(group_schema, setting(settings.database_table_names, "group", "celery_tasksetmeta"));
  // Sequences and indexes keep these names whatever the tables are called.
  sequence_ = qualified(task_schema, "task_id_sequence");
  group_sequence_ = qualified(group_schema, "taskset_id_sequence");
  index_ = quote_identifier("ix_celery_taskmeta_date_done");
  group_index_ = quote_identifier("ix_celery_tasksetmeta_date_done");

  // nextval() is asked only for a task without a row, so that updates use up no numbers: the column has
  // 31 bits. When the row appears in between, ON CONFLICT still finds it.
  upsert_ = "INSERT INTO " + table_ +
            " AS stored (id, task_id, status, result, date_done, traceback, name, args, kwargs, worker, "
            "retries, queue) "
            "SELECT coalesce((SELECT known.id FROM " +
            table_ + " AS known WHERE known.task_id = new.task_id), nextval(" + quote_literal(sequence_) +
            ")), new.* FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS new "
            "(task_id, status, result, date_done, traceback, name, args, kwargs, worker, retries, queue) "
            "ON CONFLICT (task_id) DO UPDATE SET status = EXCLUDED.status, result = EXCLUDED.result, "
            "date_done = EXCLUDED.date_done, traceback = EXCLUDED.traceback, name = EXCLUDED.name, "
            "args = EXCLUDED.args, kwargs = EXCLUDED.kwargs, worker = EXCLUDED.worker, "
            "retries = EXCLUDED.retries, queue = EXCLUDED.queue "
            "WHERE stored.status IS DISTINCT FROM 'SUCCESS' OR EXCLUDED.status = 'SUCCESS'";
}

std::vector<Statement> ResultTable::create() const {
  return {{"DO " + quote_literal(create_block(table_, sequence_, index_, task_columns))},
          {"DO " + quote_literal(create_block(group_table_, group_sequence_, group_index_, group_columns))}};
}

Statement ResultTable::upsert(const std::vector<const ResultRow*>& rows) const {
  auto task_id = ArrayParam::of_text(), status = ArrayParam::of_text(), traceback = ArrayParam::of_text(),
       name = ArrayParam::of_text(), worker = ArrayParam::of_text(), queue = ArrayParam::of_text();
  auto result = ArrayParam::of_bytes(), args = ArrayParam::of_bytes(), kwargs = ArrayParam::of_bytes();
  auto date_done = ArrayParam::of_timestamp();
  auto retries = ArrayParam::of_int4();
  for (const ResultRow* row : rows) {
    task_id.add(row->task_id);
    status.add(row->status);
    result.add_or_null(row->result);
    row->date_done ? date_done.add_timestamp(*row->date_done) : date_done.add_null();
    traceback.add_or_null(row->traceback);
    name.add_or_null(row->name);
    args.add_or_null(row->args);
    kwargs.add_or_null(row->kwargs);
    worker.add_or_null(row->worker);
    row->retries ? retries.add_int4(static_cast<std::int32_t>(*row->retries)) : retries.add_null();
    queue.add_or_null(row->queue);
  }
  Statement out{upsert_};
  for (auto* column :
       {&task_id, &status, &result, &date_done, &traceback, &name, &args, &kwargs, &worker, &retries, &queue})
    out.params.push_back(std::move(*column).finish());
  return out;
}

Statement ResultTable::select(std::string_view task_id) const {
  // All columns as text or bytes, whose binary form is the value itself.
  return {
      "SELECT status, result, to_char(date_done, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), traceback, name, args, "
      "kwargs, "
      "worker, retries::text, queue FROM " +
          table_ + " WHERE task_id = $1",
      {text(task_id)},
      true};
}

Statement ResultTable::remove(std::string_view task_id) const {
  return {"DELETE FROM " + table_ + " WHERE task_id = $1", {text(task_id)}};
}

Statement ResultTable::expire(double before, std::int32_t limit, bool groups) const {
  const std::string& table = groups ? group_table_ : table_;
  return {"DELETE FROM " + table + " WHERE id IN (SELECT id FROM " + table +
              " WHERE date_done < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
          {timestamp(before), int4(limit)}};
}

Expected<Json> ResultTable::read(std::string_view task_id, const Rows& rows) const {
  auto value = [&](int column) {
    return rows.is_null(0, column) ? std::nullopt : std::optional<std::string>(rows.value(0, column));
  };
  ResultRow row;
  row.task_id = task_id;
  row.status = value(0).value_or("");
  row.result = value(1);
  if (auto done = parse_iso8601(rows.value(0, 2)); done) row.date_done = *done;
  row.traceback = value(3);
  row.name = value(4);
  row.args = value(5);
  row.kwargs = value(6);
  row.worker = value(7);
  if (const auto digits = value(8)) {
    row.retries = 0;
    std::from_chars(digits->data(), digits->data() + digits->size(), *row.retries);
  }
  row.queue = value(9);
  return read_row(row);
}

}  // namespace celeriac::pg
