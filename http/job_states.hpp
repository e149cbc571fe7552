// The states of many jobs, asked for one by one and read from the database together.
#pragma once

#include "http/database_threads.hpp"
#include "protocol/json.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::http {

class JobStates {
 public:
  using Answer = std::function<void(std::optional<Json> state, bool final)>;

  JobStates(boost::asio::io_context& io, DatabaseThreads& database) : timer_(io), database_(database) {}

  // Answers with nothing when there is no such job or the database cannot tell now. Requests gather for
  // 50 ms.
  void ask(const std::string& job_id, Answer answer);

 private:
  void read();

  boost::asio::steady_timer timer_;
  DatabaseThreads& database_;
  std::multimap<std::string, Answer> asked_;
};

}  // namespace celeriac::http
