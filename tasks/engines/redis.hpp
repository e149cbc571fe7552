// A connection to a Redis server for what workers tell each other: blocking, with bounded waits.
#pragma once

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct redisContext;

namespace celeriac {

// Not there, or it refuses. Names the server, never its password.
struct RedisAway : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct RedisReply {
  enum class Kind { nil, number, text, other } kind = Kind::other;
  long long number = 0;
  std::string text;
};

// Used by one thread at a time; connects when first asked, and again after a connection was lost.
class RedisConnection {
 public:
  // redis://[user:password@]host:port/db. Throws std::invalid_argument, which says what is wrong with it.
  // `patience`: for connecting, and for each answer.
  explicit RedisConnection(const std::string& url, std::chrono::seconds patience = std::chrono::seconds(3));
  ~RedisConnection();
  RedisConnection(RedisConnection&&) noexcept;

  // Throws RedisAway; the command may have been carried out then.
  RedisReply run(const std::vector<std::string>& command);
  // A command goes over a connection that was there before, and may have gone unnoticed.
  bool connected() const { return connection_ != nullptr; }

 private:
  struct Close {
    void operator()(redisContext* connection) const noexcept;
  };
  void open();

  std::chrono::seconds patience_;
  std::string host_, user_, password_, shown_;
  int port_ = 6379, db_ = 0;
  std::unique_ptr<redisContext, Close> connection_;
};

}  // namespace celeriac
