// The inside of RedisBroker. The parts do the work (outbox, restorer, recovery, wakeup,
// inspector, holdings); this ties them to one connection. redis_broker.cpp: life, settling,
// publishing. redis_fetch.cpp: claiming, due messages.
#pragma once

#include "queues/due_queue.hpp"
#include "queues/redis/broadcast.hpp"
#include "queues/redis/claim_policy.hpp"
#include "queues/redis/holdings.hpp"
#include "queues/redis/inspector.hpp"
#include "queues/redis/large_claim.hpp"
#include "queues/redis/outbox.hpp"
#include "queues/redis/recovery.hpp"
#include "queues/redis/redis_broker.hpp"
#include "queues/redis/restorer.hpp"
#include "queues/redis/retries.hpp"
#include "queues/redis/router.hpp"
#include "queues/redis/wakeup.hpp"
#include "queues/timer.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace celeriac::redis {

class RedisBroker::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, BrokerOptions options);

  // redis_broker.cpp
  void start(Handlers handlers);
  void up();
  void down(std::string why);
  void failed(std::string why);
  void consume(std::vector<std::string> queues);
  void pause();
  void ack(Tag tag);
  void ack_begun(Tag tag);
  void reject(Tag tag, Requeue requeue);
  void release(Tag tag);
  void bury(Tag tag, DeadLetter why);
  void defer(Tag tag, Clock::time_point due);
  void publish(Message message, Done done);
  void flush(Done done);
  void stop(std::function<void(std::size_t)> done);
  void close();

  void settle_soon();  // once for all that this turn of the loop settles
  void after_this_turn();
  void settle();
  // Sends until the server accepts it; the request must be harmless when repeated.
  void insist(std::shared_ptr<const Request> request, std::string_view what);
  void keep_scores();
  void lease_renewed(bool held, bool taken);
  void look_for_taken();
  void restore_all();
  void stopped(std::size_t restored);
  void await_connection_to_stop(int seconds);

  // redis_fetch.cpp
  void consider_claim();
  void claim();
  struct List {
    std::string key, queue, tail;
    BodySizes sizes;
    bool empty = false;    // a claim found it so, and the server will tell of the next push
    bool changed = false;  // since the last claim was sent
  };
  using Lists = std::vector<std::shared_ptr<List>>;  // in the order of claiming
  void claimed(Reply reply, const Lists& asked, Tag first, unsigned count);
  void take(Reply reply, const Lists& asked, Tag first);
  void claim_large(const std::shared_ptr<List>& list);
  void no_lease();
  void serve(std::vector<Delivery> deliveries);
  void give_back(const std::vector<Delivery>& deliveries);
  void look_for_lost_claim();
  void fetch(std::vector<Tag> tags, bool deferred, std::function<void()> done);
  void deliver_due();
  void schedule_due();
  void told_of(std::string_view key);  // by the server
  void changed(std::string_view key);
  void forget_empty();
  void poll();
  void check_stall();
  void arrange_lists();

  boost::asio::io_context& io_;
  const BrokerOptions options_;
  const Keys keys_;
  const std::string owner_;
  Handlers handlers_;
  Connection connection_;
  Outbox outbox_;
  Router router_;
  Restorer restorer_;
  Retries retries_;
  Inspector inspector_;
  Holdings holdings_;
  LargeClaim large_;
  Broadcasts broadcasts_;
  Recovery recovery_;
  std::optional<Wakeup> wakeup_;
  DueQueue due_;
  ClaimPolicy policy_;
  Timer poll_timer_, linger_timer_, due_timer_, score_timer_, lost_timer_, settle_timer_, stop_timer_;

  bool consuming_ = false, paused_ = false, stopping_ = false, closed_ = false;
  bool settle_posted_ = false, settle_awaited_ = false, had_lease_ = false, refusal_told_ = false;
  std::function<void(std::size_t)> stop_done_;

  std::vector<std::string> queues_;
  Lists lists_;

  Tag next_tag_ = 1;
  bool claiming_ = false;
  bool all_by_script_ = false;                     // the next claim: large bodies too, their own way failed
  unsigned large_failures_ = 0, large_pause_ = 0;  // claims to do by script before the next try
  bool exhausted_ = false;                         // the last claim emptied the lists; wait for a change
  bool changed_ = false;                           // ... that came while the claim was under way
  struct Range {
    Tag first;
    unsigned count;
  };
  std::optional<Range> lost_claim_;  // its answer was lost: the messages may be ours
  bool fetching_due_ = false;
  std::chrono::milliseconds poll_pause_{1};
  std::chrono::steady_clock::time_point last_claim_answer_{};
};

}  // namespace celeriac::redis
