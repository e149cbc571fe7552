// Tells at once when something was pushed to a list that the claim script found empty: the
// server's CLIENT TRACKING of the command connection, redirected to a subscriber here. Of what the
// command connection pushes itself it does not tell (NOLOOP): each claim would be followed by one in vain.
// Nothing is popped by waiting. Servers before Redis 6, or an ACL, refuse it: then
// works() stays false and the owner polls.
#pragma once

#include "queues/redis/connection.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace celeriac::redis {

class Wakeup {
 public:
  // `commands` is the connection whose reads are tracked. `changed` gets the key; empty: any.
  Wakeup(boost::asio::io_context& io, ConnectionOptions options, Connection& commands,
         std::function<void(std::string_view key)> changed);

  void start();
  void close() { subscriber_.close(); }

  void commands_up();    // call when the command connection came up
  void commands_down();  // and when it was lost

  bool works() const { return works_; }
  const std::string& refused() const { return refused_; }  // the server's words, or empty

 private:
  void subscribed();
  void track();

  Connection& commands_;
  std::function<void(std::string_view)> changed_;
  Connection subscriber_;
  std::string id_;  // CLIENT ID of the subscriber while it is subscribed
  bool works_ = false;
  std::string refused_;
};

}  // namespace celeriac::redis
