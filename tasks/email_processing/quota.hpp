// Gmail's quota, counted in Redis for all workers together: 250 units a second for each user,
// a daily number for the project, 10 connections for each user. Asked before each call, so
// that the provider's own refusals stay rare. Also keeps what was read of messages for a
// while: they never change.
//
// One connection, blocking; used by one thread at a time. A Redis that is away is an
// EmailError(unavailable): without the count no call is made.
#pragma once

#include "tasks/email_processing/mailbox.hpp"
#include "tasks/engines/redis.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace celeriac {

struct QuotaLimits {
  int units_per_second = 250;  // for each user; also the most at once
  long long units_per_day = 1'000'000'000;
  int connections = 10;             // for each user
  std::chrono::seconds lease{300};  // a killed worker's connection is free after that
};

class QuotaLedger {
 public:
  // redis://[user:password@]host:port/db
  explicit QuotaLedger(const std::string& url, QuotaLimits limits = {});

  // Takes the units, or says how long to wait for them; then nothing was taken. A used up day throws
  // rate_limited.
  std::optional<std::chrono::milliseconds> take(const std::string& user, int units);
  // The provider refused: nobody calls for this user meanwhile.
  void pause(const std::string& user, std::chrono::milliseconds time);

  // One of the user's connections, by a name of the caller's; false when all are in use.
  bool connect(const std::string& user, const std::string& name);
  void disconnect(const std::string& user, const std::string& name);

  std::optional<std::string> recall(const std::string& key);
  void remember(const std::string& key, const std::string& value, std::chrono::seconds expires);

 private:
  RedisReply run(const std::vector<std::string>& command);

  const QuotaLimits limits_;
  RedisConnection redis_;
};

}  // namespace celeriac
