// Jobs: the processing of documents, as their owners see it.
#pragma once

#include "http/exchange.hpp"
#include "tasks/store/database.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::http {

// By the job's id, its task's, or that of the invoice it made; the newest. Nothing when the caller has none.
std::optional<Json> job_state(Database& database, const Caller& caller, const std::string& id);
// By the jobs' own ids, whoever owns them; ids that are no job's are left out.
std::map<std::string, Json> job_states(Database& database, const std::vector<std::string>& ids);
bool is_over(const Json& job_state);  // completed or failed
Response unknown_job();

// A job for a stored document and the task that reads it, in the caller's transaction. Answers what the
// caller is told.
struct DocumentOrder {
  std::string source;     // storage://...
  std::string file_name;  // for people; may be empty
  std::string queue, user_id, traceparent;
  std::optional<int> priority;
  std::string file_id;  // set: the file is known by this id, and read again although it made an invoice
};
Json order_document(Database& database, const DocumentOrder& order);
// The order to read this file again that is not yet carried out, as its caller was told.
std::optional<Json> reading_again(Database& database, const std::string& file_id);

}  // namespace celeriac::http
