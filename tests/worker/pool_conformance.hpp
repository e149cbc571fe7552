// What every pool must do. What one cannot do is said by its traits, so that a pool is asked
// either to do a thing or to refuse it in the agreed way.
#pragma once

#include "tests/worker/pool_tasks.hpp"
#include "worker/pool.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace celeriac {

struct PoolTraits {
  std::string name;
  bool many_slots = true;
  bool soft_limit = true;
  bool kills = false;  // hard limit, terminate, stop while a task runs
};

// A pool on a loop of its own, and everything it has said.
class PoolHarness {
 public:
  explicit PoolHarness(const std::string& pool, PoolOptions options = {});
  ~PoolHarness();

  // Runs the loop until `done`; the test fails after `seconds`.
  void until(const std::function<bool()>& done, double seconds = 20);
  void until_finished(std::size_t count, double seconds = 20);
  JobId submit(const std::string& task, const std::string& args = "[]");
  JobId submit(Job job);

  // Of a finished job.
  template <class T>
  const T& outcome(JobId job) const {
    return std::get<T>(finished.at(job).outcome);
  }
  std::string result(JobId job) const;  // JSON text; the alternative's index when it is no value
  // Submits, waits, and gives the result.
  std::string call(const std::string& task, const std::string& args = "[]");

  App app = pool_test_app();
  boost::asio::io_context io;
  std::unique_ptr<Pool> pool;
  std::map<JobId, Started> started;
  std::map<JobId, Finished> finished;
  std::vector<std::pair<JobId, TaskRequest>> requests;
  std::vector<JobId> soft_timeouts, recalled;
  std::vector<std::string> order;  // "start 3", "ask 3", "end 3"
  std::string fatal;
  std::string send_answer;
  std::function<void(JobId)> on_start;  // may be empty

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> open_{io.get_executor()};
  JobId last_ = 0;
};

void check_pool_conformance(const PoolTraits& traits);

}  // namespace celeriac
