// A private master with a replica and three sentinels, all real, on free ports.
#pragma once

#include "tests/queues/redis_server.hpp"

#include <memory>
#include <string>
#include <vector>

namespace celeriac::testing {

class SentinelCluster {
 public:
  // With a password for the servers and another one for the sentinels, or none.
  explicit SentinelCluster(const std::string& password = "", const std::string& sentinel_password = "");
  ~SentinelCluster();
  SentinelCluster(const SentinelCluster&) = delete;
  SentinelCluster& operator=(const SentinelCluster&) = delete;

  static constexpr const char* name = "orders";  // of the master

  std::string url(int db = 0) const;          // sentinel://...;sentinel://...
  RedisServer& first() { return *first_; }    // the master to begin with
  RedisServer& second() { return *second_; }  // its replica
  void await_replica();    // until the second server has what the first one had when this was called
  void await_promotion();  // until the second server is a master
  void fail_over();        // asks a sentinel to

 private:
  std::string password_, sentinel_password_;
  std::unique_ptr<RedisServer> first_, second_;
  std::vector<std::unique_ptr<RedisServer>> sentinels_;
};

}  // namespace celeriac::testing
