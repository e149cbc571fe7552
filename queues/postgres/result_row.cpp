#include "queues/postgres/result_row.hpp"

#include "protocol/pickle.hpp"
#include "protocol/utf8.hpp"

#include <algorithm>
#include <limits>

namespace celeriac::pg {
namespace {

constexpr std::size_t max_result_bytes = 512u << 20;  // as on Redis; PostgreSQL itself ends at 1 GiB
constexpr std::size_t name_length = 155;              // of the columns name, worker and queue, in characters

std::string mended(std::string_view text,
                   std::size_t max_characters = std::numeric_limits<std::size_t>::max()) {
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

std::optional<std::string> name_or_null(const std::string& value) {
  if (value.empty()) return std::nullopt;
  return mended(value, name_length);
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
  if (!result.traceback.empty()) row.traceback = mended(result.traceback);
  if (!result.extended) return row;
  row.name = name_or_null(result.name);
  row.args = result.args;
  row.kwargs = result.kwargs;
  row.worker = name_or_null(result.worker);
  row.queue = name_or_null(result.queue);
  row.retries = static_cast<std::int32_t>(
      std::min<std::int64_t>(result.retries, std::numeric_limits<std::int32_t>::max()));
  return row;
}

}  // namespace celeriac::pg
