// Gives messages held in `unacked` back to their queues, page by page, as kombu does: with
// the redelivered flags, to the list of their priority. A message whose field has gone in the
// meantime was given back by somebody else and is left alone.
#pragma once

#include "queues/redis/keys.hpp"
#include "queues/redis/outbox.hpp"
#include "queues/redis/router.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac::redis {

struct RestoreOrder {
  std::vector<std::string> fields;    // of `unacked`, in the order of pushing
  bool to_the_back = false;           // LPUSH: delivered last. Otherwise each is delivered next
  bool untouched = false;             // nothing ran: not marked as redelivered
  std::string unless_leased;          // an owner: stop as soon as it holds its lease again
  std::optional<double> not_younger;  // only fields of at most this score
};

class Restorer {
 public:
  Restorer(Outbox& outbox, Router& router, const Keys& keys);

  // Gets the part of an order that the server refused, to be tried again later. Set it first.
  std::function<void(RestoreOrder, std::string_view error)> on_refused;

  // Messages are back in their queues. Set it first.
  std::function<void()> on_restored;

  // `done` gets how many were given back by us.
  void restore(RestoreOrder order, std::function<void(std::size_t)> done);

 private:
  struct Job;
  void next_page(std::shared_ptr<Job> job);
  void push_page(std::shared_ptr<Job> job);
  void finish(const std::shared_ptr<Job>& job);

  Outbox& outbox_;
  Router& router_;
  const Keys& keys_;
};

}  // namespace celeriac::redis
