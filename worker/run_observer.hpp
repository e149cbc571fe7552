// Who wants to know of every run. Called on the worker's loop, off the path to the
// acknowledgement: an observer copies what it keeps and returns at once.
#pragma once

#include "worker/job.hpp"
#include "worker/request.hpp"
#include "worker/settle.hpp"

#include <string_view>

namespace celeriac {

// Of a run that was cut short, for its message comes again.
inline constexpr std::string_view run_lost = "LOST";

struct RunEnd {
  std::string_view state;        // SUCCESS, FAILURE, RETRY, REVOKED, IGNORED, REJECTED or run_lost
  const Settlement& settlement;  // not carried out yet
  Usage usage;                   // nothing for a request that never ran (revoked, expired)
};

class RunObserver {
 public:
  virtual ~RunObserver() = default;

  virtual void on_received(const Request& request) = 0;  // a slot may have it next
  virtual void on_started(const Request& request) = 0;
  virtual void on_ended(const Request& request, const RunEnd& end) = 0;
};

}  // namespace celeriac
