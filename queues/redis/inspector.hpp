// Numbers and housekeeping of queues: sizes, purge, declare.
#pragma once

#include "queues/broker.hpp"
#include "queues/redis/keys.hpp"
#include "queues/redis/outbox.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::redis {

class Inspector {
 public:
  Inspector(Outbox& outbox, const Keys& keys) : outbox_(outbox), keys_(keys) {}

  // Held and delayed messages are counted in the server, page by page, up to 200000; beyond
  // that `QueueInfo::estimated` is set and the figures are scaled from what was seen.
  void inspect(std::vector<std::string> queues, std::function<void(Expected<std::vector<QueueInfo>>)> done);
  void purge(const std::string& queue, std::function<void(Expected<std::uint64_t>)> done);
  void declare(const std::string& queue, Done done);

 private:
  struct Job;
  void sizes(std::shared_ptr<Job> job);
  void count_page(std::shared_ptr<Job> job);

  Outbox& outbox_;
  const Keys& keys_;
};

}  // namespace celeriac::redis
