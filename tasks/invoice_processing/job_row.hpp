// The row of processing_jobs that tells people how far one processing is.
//
// A task that is delivered again or retried finds its row again, by the job id it was sent
// with or else by its task id. Stage changes are statements of their own; completing belongs
// into the transaction that stores the invoice. A completed row never changes back.
#pragma once

#include "protocol/json.hpp"
#include "tasks/store/database.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace celeriac {

struct JobStart {
  std::string job_id;  // empty: found or made by task_id
  std::string task_id;
  std::string source;
  std::string worker;
  std::string user_id;  // may be empty
};

class JobRow {
 public:
  using Clock = std::chrono::steady_clock;

  // Marks the job running and counts the attempt. A row that was still running belonged to a
  // run that vanished.
  JobRow(Database& database, const JobStart& start);

  const std::string& id() const { return id_; }
  bool completed() const { return completed_; }   // by an earlier run
  const Json& result() const { return result_; }  // that run's
  int lost_runs() const { return lost_runs_; }

  // Writes at most four times a second within one stage.
  void stage(std::string_view name, int percent);

  void complete(const std::string& file_id, const Json& result, const std::string& confidence);
  void fail(std::string_view code, std::string_view message);
  void wait_for_retry(std::string_view message);

 private:
  std::string timings();

  Database& database_;
  std::string id_;
  bool completed_ = false;
  Json result_;
  int lost_runs_ = 0;
  std::string stage_ = "receive";
  Clock::time_point stage_began_ = Clock::now(), written_{};
  Json timings_ = Json::object();  // milliseconds by stage
};

}  // namespace celeriac
