#include "queues/postgres/django_table.hpp"

#include "protocol/time.hpp"

namespace celeriac::pg {
namespace {

constexpr std::size_t max_result_bytes = 512u << 20;           // as on Redis; PostgreSQL itself ends at 1 GiB
constexpr std::size_t name_length = 255, worker_length = 100;  // of the columns, in characters

// The first element of a result tuple's first element is its task's id; a tuple of a group has a list, not
// null, in second place.
constexpr const char* leaves =
    R"('strict $.** ? (@.type() == "array" && @[0].type() == "array" && @[0][0].type() == "string" )"
    R"(&& @[1] == null)[0][0]')";

}  // namespace

// What the table has no column for goes into `meta`, which Django's clients merge into the document.
Expected<ResultRow> DjangoTable::row(const TaskResult& result) const {
  if (result.result.size() + result.args.size() + result.kwargs.size() > max_result_bytes)
    return unexpected("task " + result.task_id + ": its result is larger than 512 MiB");
  ResultRow row{result.task_id, result.status};
  row.result = result.result;
  if (is_ready(result.status)) row.date_done = result.date_done;
  if (!result.traceback.empty()) row.traceback = mended_text(result.traceback);
  std::string meta = "{\"children\": " + result.children;
  const auto member = [&](const char* key, const std::string& value) {
    if (value.empty()) return;
    meta += std::string(", \"") + key + "\": ";
    dump_json_string(value, meta);
  };
  member("group_id", result.group_id);
  member("parent_id", result.parent_id);
  if (result.extended) {
    row.name = mended_text(result.name, name_length);
    row.args = result.args;
    row.kwargs = result.kwargs;
    row.worker = mended_text(result.worker, worker_length);
    member("queue", result.queue);
    meta += ", \"retries\": " + std::to_string(result.retries);
  }
  row.meta = meta + "}";
  return row;
}

// Django's own default for both dates is the moment of writing, also for states in between.
Statement DjangoTable::upsert(const std::vector<const ResultRow*>& rows) const {
  auto task_id = ArrayParam::of_text(), status = ArrayParam::of_text(), result = ArrayParam::of_text(),
       traceback = ArrayParam::of_text(), meta = ArrayParam::of_text(), args = ArrayParam::of_text(),
       kwargs = ArrayParam::of_text(), name = ArrayParam::of_text(), worker = ArrayParam::of_text();
  auto date_done = ArrayParam::of_timestamp();
  for (const ResultRow* row : rows) {
    task_id.add(row->task_id);
    status.add(row->status);
    result.add_or_null(row->result);
    row->date_done ? date_done.add_timestamp(*row->date_done) : date_done.add_null();
    traceback.add_or_null(row->traceback);
    meta.add_or_null(row->meta);
    args.add_or_null(row->args);
    kwargs.add_or_null(row->kwargs);
    name.add_or_null(row->name);
    worker.add_or_null(row->worker);
  }
  Statement out{
      "INSERT INTO django_celery_results_taskresult AS stored (task_id, status, content_type, "
      "content_encoding, result, date_done, traceback, meta, task_args, task_kwargs, task_name, worker, "
      "date_created) "
      "SELECT new.task_id, new.status, 'application/json', 'utf-8', new.result, "
      "coalesce(new.date_done AT TIME ZONE 'UTC', now()), new.traceback, new.meta, new.args, new.kwargs, "
      "new.name, new.worker, now() FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS new "
      "(task_id, status, result, date_done, traceback, meta, args, kwargs, name, worker) "
      "ON CONFLICT (task_id) DO UPDATE SET status = EXCLUDED.status, content_type = EXCLUDED.content_type, "
      "content_encoding = EXCLUDED.content_encoding, result = EXCLUDED.result, "
      "date_done = EXCLUDED.date_done, traceback = EXCLUDED.traceback, meta = EXCLUDED.meta, "
      "task_args = EXCLUDED.task_args, task_kwargs = EXCLUDED.task_kwargs, "
      "task_name = EXCLUDED.task_name, worker = EXCLUDED.worker "
      "WHERE stored.status <> 'SUCCESS' OR EXCLUDED.status = 'SUCCESS'"};
  for (auto* column :
       {&task_id, &status, &result, &date_done, &traceback, &meta, &args, &kwargs, &name, &worker})
    out.params.push_back(std::move(*column).finish());
  return out;
}

Statement DjangoTable::select(std::string_view task_id) const {
  return {
      "SELECT status, content_type || '; ' || content_encoding, result, to_char(date_done AT TIME ZONE "
      "'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), traceback, meta, task_name, task_args, task_kwargs, worker "
      "FROM django_celery_results_taskresult WHERE task_id = $1",
      {text(task_id)},
      true};
}

Expected<Json> DjangoTable::read(std::string_view task_id, const Rows& rows) const {
  enum { status, content, result, date_done, traceback, meta, name, args, kwargs, worker };
  const std::string id(task_id);
  if (rows.value(0, content) != "application/json; utf-8")
    return unexpected("result of task " + id + ": it is " + std::string(rows.value(0, content)) +
                      ", not JSON");
  const auto text_or_null = [&](int column) {
    return rows.is_null(0, column) ? Json(nullptr) : Json(std::string(rows.value(0, column)));
  };
  const auto parsed = [&](int column) -> Expected<Json> {
    if (rows.is_null(0, column)) return Json(nullptr);
    return parse_json(rows.value(0, column));
  };
  const auto value = parsed(result), more = parsed(meta);
  if (!value) return unexpected("result of task " + id + ": " + value.error().what);
  Json out = Json::object();
  out["status"] = std::string(rows.value(0, status));
  out["result"] = *value;
  out["traceback"] = text_or_null(traceback);
  const auto done = parse_iso8601(rows.value(0, date_done));
  out["date_done"] = is_ready(rows.value(0, status)) && done ? Json(format_iso8601(*done)) : Json(nullptr);
  if (!rows.is_null(0, name)) {
    out["name"] = text_or_null(name);
    for (auto [key, column] : {std::pair{"args", args}, std::pair{"kwargs", kwargs}}) {
      const auto arguments = parsed(column);
      out[key] = arguments ? *arguments : text_or_null(column);  // Python keeps its repr() of them
    }
    out["worker"] = text_or_null(worker);
  }
  if (more && more->is_object())
    for (const auto& [key, item] : more->items()) out[key] = item;
  out["task_id"] = id;
  return out;
}

Statement DjangoTable::remove(std::string_view task_id) const {
  return {"DELETE FROM django_celery_results_taskresult WHERE task_id = $1", {text(task_id)}};
}

Statement DjangoTable::expire(double before, std::int32_t limit, bool groups) const {
  const std::string table = groups ? "django_celery_results_groupresult" : "django_celery_results_taskresult";
  return {"DELETE FROM " + table + " WHERE id IN (SELECT id FROM " + table +
              " WHERE date_done < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
          {timestamptz(before), int4(limit)}};
}

// Python writes the result tuples of all parts here. We know them only when the group was saved; else each
// part writes itself into its place when it ends.
Statement DjangoTable::begin_chord(std::string_view group_id, std::int64_t size) const {
  return {
      "INSERT INTO django_celery_results_chordcounter (group_id, sub_tasks, count) "
      "SELECT $1, coalesce((SELECT result::jsonb -> 1 FROM django_celery_results_groupresult WHERE group_id "
      "= "
      "$1), (SELECT jsonb_agg(NULL::text) FROM generate_series(1, $2)), '[]')::text, $2 "
      "ON CONFLICT (group_id) DO UPDATE SET sub_tasks = EXCLUDED.sub_tasks, count = EXCLUDED.count",
      {text(group_id), int4(static_cast<std::int32_t>(size))}};
}

Statement DjangoTable::save_group(std::string_view group_id, const Json& result) const {
  return {
      "INSERT INTO django_celery_results_groupresult (group_id, date_created, date_done, content_type, "
      "content_encoding, result) VALUES ($1, now(), now(), 'application/json', 'utf-8', $2) "
      "ON CONFLICT (group_id) DO UPDATE SET result = EXCLUDED.result, date_done = now()",
      {text(group_id), text(dump_json(result))}};
}

// A part that ends twice counts twice, as with Django; hence the look at the results themselves, in a
// statement of its own, which sees what was committed while the first waited for the row.
std::vector<Statement> DjangoTable::end_part(const ChordPart& part) const {
  const Json tuple = Json::array({Json::array({part.task_id, nullptr}), nullptr});
  return {{"UPDATE django_celery_results_chordcounter SET count = greatest(count - 1, 0), "
           "sub_tasks = CASE WHEN sub_tasks::jsonb -> $2 = 'null' "
           "THEN jsonb_set(sub_tasks::jsonb, ARRAY[$2::text], $3)::text ELSE sub_tasks END "
           "WHERE group_id = $1",
           {text(part.group_id), int4(static_cast<std::int32_t>(part.index.value_or(-1))),
            jsonb(dump_json(tuple))}},
          {std::string("SELECT sub_tasks FROM django_celery_results_chordcounter WHERE group_id = $1 AND "
                       "count = 0 AND NOT sub_tasks::jsonb @> '[null]' AND NOT EXISTS (SELECT FROM "
                       "jsonb_path_query(sub_tasks::jsonb, ") +
               leaves +
               ") AS leaf (id) LEFT JOIN django_celery_results_taskresult AS part "
               "ON part.task_id = leaf.id #>> '{}' "
               "WHERE part.status IS NULL OR part.status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED'))",
           {text(part.group_id)},
           true}};
}

Statement DjangoTable::forget_chord(std::string_view group_id) const {
  return {"DELETE FROM django_celery_results_chordcounter WHERE group_id = $1", {text(group_id)}};
}

}  // namespace celeriac::pg
