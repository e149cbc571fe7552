// Claims messages whose bodies are too large to pass through Lua: WATCH and LRANGE, then MULTI with
// the same records the claim script makes. A body goes down once and up once, as with kombu. It has
// its own connection: a transaction of anybody else on it would end the WATCH.
//
// Nothing is taken unless the list is untouched since it was read, so any push in between
// ends the attempt. It is repeated with fewer messages; after that the script must do it.
//
// Concurrency: one loop, one claim at a time.
#pragma once

#include "queues/broker.hpp"
#include "queues/redis/connection.hpp"
#include "queues/redis/holdings.hpp"
#include "queues/redis/keys.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac::redis {

class LargeClaim {
 public:
  struct Order {
    std::string list, tail;  // tail: what follows the envelope in `unacked`
    Tag first = 0;           // the tags first .. first + count - 1 are ours to use
    unsigned count = 1;
    std::string lease;
  };
  enum class Outcome {
    taken,
    nothing,   // the list is empty, or somebody always came between; nothing was taken
    no_lease,  // nothing was taken
    unknown    // the answer was lost: look for the tags in `unacked`
  };
  struct Handlers {
    // A body read for `tag`, oldest first; the bytes are gone afterwards. They count only if
    // `done` says taken; on_restart: forget those read so far.
    std::function<void(Tag tag, std::string_view raw, bool object)> on_read;
    std::function<void()> on_restart;
    std::function<void(Outcome)> done;
  };

  LargeClaim(boost::asio::io_context& io, ConnectionOptions options, const Keys& keys,
             const Holdings& holdings);

  void start();  // connects; again: does nothing
  void close() { connection_.close(); }
  bool ready() const { return connection_.ready(); }

  // Needs ready().
  void claim(Order order, Handlers handlers);

 private:
  void attempt();
  void read(Reply answer);
  void record(Reply bodies);
  void recorded(Reply answer, bool last);
  void undo();
  void finish(Outcome outcome);

  Connection connection_;
  const Keys& keys_;
  const Holdings& holdings_;
  bool started_ = false;
  Order order_;
  Handlers handlers_;
  unsigned attempts_left_ = 0, answers_ = 0, taken_ = 0;
  bool lease_held_ = false;
};

// An item that begins and ends like a JSON object; only such may lie in `unacked` as it is.
inline bool looks_like_object(std::string_view raw) {
  return !raw.empty() && raw.front() == '{' && raw.back() == '}';
}

}  // namespace celeriac::redis
