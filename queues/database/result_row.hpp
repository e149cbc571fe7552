// One line of Celery's table celery_taskmeta (or of Django's table), from a TaskResult and back to the
// document clients see. Pure; the same for every database.
#pragma once

#include "protocol/result.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace celeriac {

struct ResultRow {
  std::string task_id, status;
  std::optional<std::string> result;  // pickled; JSON text in Django's table
  std::optional<double> date_done;    // Unix seconds
  std::optional<std::string> traceback;
  std::optional<std::string> name, args, kwargs, worker, queue;  // with result_extended only
  std::optional<std::int64_t> retries;
  std::optional<std::string> meta;  // JSON text, in the tables of django-celery-results only

  std::size_t bytes() const;
};

// The Error says what of this result can never be stored. A traceback or a name that a database would
// refuse (NUL bytes, broken UTF-8, longer than its column) is mended instead: better an odd character than
// a lost result.
Expected<ResultRow> make_row(const TaskResult& result);

// The meta document. The pickled result must be plain data (a Python object comes back as
// protocol/pickle.hpp describes it).
Expected<Json> read_row(const ResultRow& row);

// UTF-8 that a database takes: NUL bytes and broken sequences become U+FFFD.
std::string mended_text(std::string_view text);
// The same, cut to a column of `max_characters`.
std::string mended_text(std::string_view text, std::size_t max_characters);

}  // namespace celeriac
