#include "queues/database/result_row.hpp"

#include "protocol/pickle.hpp"
#include "protocol/time.hpp"
#include "protocol/utf8.hpp"

#include <algorithm>
#include <limits>

namespace celeriac {
namespace {

constexpr std::size_t max_result_bytes = 512u << 20;  // as on Redis; PostgreSQL itself ends at 1 GiB
constexpr std::size_t name_length = 155;              // of the columns name, worker and queue, in characters

std::size_t size(const std::optional<std::string>& value) { return value ? value->size() : 0; }

Json string_or_null(const std::optional<std::string>& value) { return value ? Json(*value) : Json(nullptr); }

// Python may have used another serializer here; then the text is shown as it is.
Json parsed_or_text(const std::optional<std::string>& value) {
  if (!value) return nullptr;
  auto parsed = parse_json(*value);
  return parsed ? std::move(*parsed) : Json(*value);
}

std::optional<std::string> name_or_null(const std::string& value) {
  if (value.empty()) return std::nullopt;
  return mended_text(value, name_length);
}

}  // namespace

Expected<ResultRow> make_row(const TaskResult& result) {
  ResultRow row{result.task_id, result.status};
  if (result.result.size() + result.args.size() + result.kwargs.size() > max_result_bytes)
    return unexpected("task " + result.task_id + ": its result is larger than 512 MiB");
  auto value = parse_json(result.result);
  if (!value) return unexpected("result of task " + result.task_id + ": " + value.error().what);
  // Celery keeps None as NULL, and the arguments of an exception as a tuple.
  if (!value->is_null()) row.result = pickle_dump(*value);
  if (is_ready(result.status)) row.date_done = result.date_done;
  if (!result.traceback.empty()) row.traceback = mended_text(result.traceback);
  if (!result.extended) return row;
  row.name = name_or_null(result.name);
  row.args = result.args;
  row.kwargs = result.kwargs;
  row.worker = name_or_null(result.worker);
  row.queue = name_or_null(result.queue);
  row.retries = std::min<std::int64_t>(result.retries, std::numeric_limits<std::int32_t>::max());
  return row;
}

Expected<Json> read_row(const ResultRow& row) {
  Json out = Json::object();
  out["status"] = row.status;
  out["result"] = nullptr;
  if (row.result) {
    auto value = pickle_load(*row.result);
    if (!value) return unexpected("result of task " + row.task_id + ": " + value.error().what);
    out["result"] = std::move(*value);
  }
  out["traceback"] = string_or_null(row.traceback);
  out["date_done"] = row.date_done ? Json(format_iso8601(*row.date_done)) : Json(nullptr);
  if (row.name || row.args) {
    out["name"] = string_or_null(row.name);
    out["args"] = parsed_or_text(row.args);
    out["kwargs"] = parsed_or_text(row.kwargs);
    out["worker"] = string_or_null(row.worker);
    out["retries"] = row.retries ? Json(*row.retries) : Json(nullptr);
    out["queue"] = string_or_null(row.queue);
  }
  out["task_id"] = row.task_id;
  return out;
}

std::string mended_text(std::string_view text) {
  return mended_text(text, std::numeric_limits<std::size_t>::max());
}

std::string mended_text(std::string_view text, std::size_t max_characters) {
  std::string out;
  out.reserve(text.size());
  const char* p = text.data();
  const char* const end = p + text.size();
  for (std::size_t count = 0; p != end && count < max_characters; ++count) {
    const char* const begin = p;
    if (decode_utf8(p, end) > 0) {
      out.append(begin, p);
    } else {
      out += "\xef\xbf\xbd";
      p = begin + 1;
    }
  }
  return out;
}

std::size_t ResultRow::bytes() const {
  return task_id.size() + status.size() + size(result) + size(traceback) + size(name) + size(args) +
         size(kwargs) + size(worker) + size(queue) + size(meta) + 64;
}

}  // namespace celeriac
