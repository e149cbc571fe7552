// What the pages know of the queues at one moment.
#pragma once

#include "queues/broker.hpp"
#include "queues/ledger.hpp"

#include <map>
#include <string>
#include <vector>

namespace celeriac::http {

struct QueuesPicture {
  Expected<std::vector<QueueInfo>> queues;
  std::map<std::string, std::string> paused;          // queue -> note
  Expected<std::vector<QueueRate>> rates;             // of the ledger
  std::map<std::string, std::pair<int, int>> takers;  // queue -> workers: ours, others
  bool asked = false;                                 // every worker has told from which queues it takes
};

}  // namespace celeriac::http
