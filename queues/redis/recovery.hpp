// What brings messages of the dead back.
//
// Lease: our owner id holds a key with a short TTL, renewed three times per TTL. Any of us that
// finds an owner without its lease gives back that owner's messages, and only those.
// Sweep: kombu's own, for messages of Python workers that died: everything in `unacked` older
// than the visibility timeout, under kombu's mutex, about every 100 s.
#pragma once

#include "queues/redis/connection.hpp"
#include "queues/redis/keys.hpp"
#include "queues/redis/restorer.hpp"
#include "queues/timer.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>

namespace celeriac::redis {

struct RecoveryOptions {
  std::string owner;
  std::string description;  // value of the lease: who we are, for an operator
  double lease = 15;        // seconds
  double visibility_timeout = 3600;
  double mutex_expire = 300;
  double sweep_interval = 100;
};

class Recovery {
 public:
  struct Handlers {
    // After each renewal: was the lease still ours, and have others given our messages back?
    std::function<void(bool held, bool taken)> on_renewed;
    std::function<void(std::string owner, std::size_t restored)> on_recovered;
    std::function<void(std::size_t restored)> on_swept;
  };

  Recovery(boost::asio::io_context& io, Connection& connection, Outbox& outbox, Restorer& restorer,
           const Keys& keys, RecoveryOptions options, Handlers handlers);

  void connected();  // renews at once, sweeps soon; to be called before anything is claimed
  void disconnected();
  void renew();
  // No more renewals; the lease and our entry in the registry go.
  void resign(std::function<void()> done);

 private:
  void schedule();
  void recover(std::string owner);
  void scan(std::shared_ptr<struct DeadOwner> dead);
  void sweep();

  Connection& connection_;
  Outbox& outbox_;
  Restorer& restorer_;
  const Keys& keys_;
  RecoveryOptions options_;
  Handlers handlers_;
  Timer renew_timer_, sweep_timer_;
  std::set<std::string> recovering_;
  bool sweeping_ = false, resigned_ = false;
};

}  // namespace celeriac::redis
