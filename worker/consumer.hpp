// Consumer: from a delivery to its settlement. It checks messages in Celery's order, hands them to
// the pool, and carries out what settle.hpp decides.
//
// Lives on the worker's loop; nothing here blocks. The broker, the stores and the pool are given by
// reference and outlive it.
#pragma once

#include "config/settings.hpp"
#include "queues/broker.hpp"
#include "worker/app.hpp"
#include "worker/canvas/runner.hpp"
#include "worker/events/event_dispatcher.hpp"
#include "worker/pool.hpp"
#include "worker/prefetch.hpp"
#include "worker/rate_limit.hpp"
#include "worker/request.hpp"
#include "worker/result_stores.hpp"
#include "worker/revoked.hpp"
#include "worker/settle.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace celeriac {

class RunObserver;

class Consumer {
 public:
  struct Parts {
    boost::asio::io_context& io;
    const App& app;
    const Settings& settings;
    Broker& broker;
    ResultStores& stores;
    Pool& pool;
    std::string node;
    std::vector<std::string> queues;
    Prefetch::Options prefetch;
    EventDispatcher* events = nullptr;  // null: nobody is told of tasks
    std::vector<RunObserver*> observers = {};
  };

  // Fails when a task's options cannot be used.
  static Expected<std::unique_ptr<Consumer>> create(Parts parts);

  // Asks the broker for messages; again after each new connection.
  void consume();
  const std::vector<std::string>& queues() const { return parts_.queues; }

  // The handlers of broker and pool.
  void on_deliveries(std::vector<Delivery>&& batch);
  void on_taken(const std::vector<Tag>& tags);
  void on_started(std::vector<Started>&& batch);
  void on_finished(std::vector<Finished>&& batch);
  void on_request(JobId job, TaskRequest&& request, std::function<void(std::string)> reply);
  void on_soft_timeout(JobId job, double limit);
  void on_recalled(std::vector<JobId>&& jobs);

  // Call a few times a second: returns messages that wait too long, follows slow tasks.
  void tick();

  // Warm shutdown: takes nothing new, leaves what has not started to the broker, and calls
  // `done` when the running tasks are settled and their results stored.
  void drain(std::function<void()> done);

  // From now on a task that the pool kills is cancelled by shutdown, not lost.
  void cancel_running() { cancelling_ = true; }

  bool idle() const { return !draining_ && ready_.empty() && in_pool_ < parts_.pool.slots(); }
  std::size_t running() const { return running_; }
  std::size_t held() const { return requests_.size(); }   // running ones included
  std::size_t pending_writes() const { return writes_; }  // results not yet confirmed
  std::uint64_t deliveries() const { return deliveries_; }
  RevokedSet& revoked() { return revoked_; }

  // What inspect and control need (control/consumer_control.cpp).
  struct Scheduled {  // waits for its ETA at the broker
    std::shared_ptr<const TaskHeaders> headers;
    std::shared_ptr<const Message> message;  // without a body when that is large
    std::string queue;
  };
  const std::unordered_map<JobId, Request>& requests() const { return requests_; }
  const std::map<Tag, Scheduled>& scheduled() const { return scheduled_; }  // the first thousand
  std::vector<std::pair<std::string, std::uint64_t>> totals() const;        // runs begun, by task
  std::uint64_t processed() const { return processed_; }
  unsigned prefetch_count() const;
  const std::vector<std::string>& accept() const { return accept_; }

  // From now on these do not run; their results say REVOKED at once.
  void revoke(const std::vector<std::string>& ids);
  void revoke_stamped(const std::string& header, const std::vector<std::string>& values);
  // Ends the run of a task held here, at its start if it waits for a slot. False: not here.
  bool terminate(const std::string& id, int signal);
  // False: no such task. A rate of 0 lifts the limit; unset limits mean none.
  bool set_rate_limit(std::string_view task, double per_second);
  bool set_time_limits(std::string_view task, double soft, double hard);
  void add_queue(const std::string& queue);
  void cancel_queue(const std::string& queue);
  // Sends a signature (JSON) that no task of ours asked for, as a client does.
  void send_signature(const Json& signature);
  void resized(unsigned concurrency);  // the pool has another number of slots; the window is for this many
  std::size_t reserved() const { return ready_.size() + in_pool_; }  // could run now, or run

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };

  // Results not yet stored may be this many, or hold so many bytes, before no further task starts. It bounds
  // memory while a store is away and loses nothing: messages wait at the broker.
  static constexpr std::size_t max_writes = 8192, max_write_bytes = 64u << 20;
  bool stores_lag_behind() const { return writes_ >= max_writes || write_bytes_ >= max_write_bytes; }

  explicit Consumer(Parts parts);
  Expected<bool> resolve_policies();

  void take(Delivery&& delivery, double now);
  void refuse(const Delivery& delivery, const Refused& refused);
  void refuse_unregistered(Delivery&& delivery, TaskHeaders&& headers);
  bool attach_duplicate(const Delivery& delivery, const TaskHeaders& headers);
  bool hold_for_eta(const Delivery& delivery, const TaskHeaders& headers, double now);
  bool discard_revoked(Request& request, double now);

  void feed(double now);
  void submit(Request& request);
  void look_up(Request& request);
  void succeeded_before(Request& request, const Json& document);
  void take_back_queued();
  void take_back(const std::vector<JobId>& jobs);  // from the pool, not started
  void give_back_surplus(double now);
  void release_limited(double now);

  void finish(Finished&& finished);
  void log_outcome(const Request& request, const Finished& finished);
  void execute(Request& request, Settlement&& settlement);
  std::optional<Outgoing> take_notice(Request& request, const Settlement& settlement);
  void plan_follow_ups(Request& request, Settlement& settlement);
  void hand_on(Request& request, Settlement&& settlement);
  void publish_first(Request& request, std::vector<canvas::Step>&& steps, Settlement&& settlement);
  void store(Request& request, Settlement&& settlement);
  void send_to_stores(JobId job, TaskResult&& result);
  void on_stored(JobId job, const Status& status, std::size_t bytes);
  void store_unstorable(Request& request, const Status& status);
  void follow(Request& request);
  canvas::Sender sender(const Request& request) const;
  void store_row(TaskResult&& row);
  void conclude(Request& request, Verdict verdict, const std::string& category, const std::string& cause);
  void forget(JobId job);

  bool told(const Request& request) const {
    return parts_.events && parts_.events->wants_tasks() &&
           (!request.policy->task || request.policy->task->options.send_events);
  }
  void discard_waiting(double now);
  bool is_revoked(const TaskHeaders& headers, double now) const;
  void schedule(const Delivery& delivery, const TaskHeaders& headers);
  void tell(const Request& request, const TaskEvent& event);
  void tell_ended(Request& request, Verdict verdict);
  void tell_received(const Message& message, const TaskHeaders& headers);

  RunFacts facts(const Request& request) const;
  TaskResult row(const Request& request) const;
  DeadLetter dead_letter(const Request& request, const std::string& category, const std::string& cause) const;
  std::string_view process_of(int pid);
  void apply_window();
  void after_write();

  Parts parts_;
  canvas::CanvasRunner canvas_;
  std::vector<std::string> accept_;  // content types
  std::unordered_map<std::string, TaskPolicy, NameHash, std::equal_to<>> policies_;
  std::unordered_map<const TaskPolicy*, RateLimit> limits_;
  boost::asio::steady_timer limit_timer_;

  std::unordered_map<JobId, Request> requests_;
  std::deque<JobId> ready_;
  std::unordered_map<int, std::string> process_names_;  // by pid
  Prefetch prefetch_;
  RevokedSet revoked_;
  std::map<std::string, std::vector<std::string>> revoked_stamps_;  // by header
  std::map<Tag, Scheduled> scheduled_;
  std::unordered_map<const TaskPolicy*, std::uint64_t> totals_;
  std::uint64_t processed_ = 0;
  JobId last_job_ = 0;
  std::size_t in_pool_ = 0;      // submitted, not finished
  std::size_t running_ = 0;      // started, not finished
  std::size_t deferred_ = 0;     // waiting for their ETA at the broker
  std::size_t writes_ = 0;       // results and follow-ups not yet confirmed
  std::size_t write_bytes_ = 0;  // of the results among them
  std::uint64_t deliveries_ = 0;
  bool eta_closed_ = false;  // eta_task_limit reached: nothing is fetched
  bool feeding_ = false;
  bool draining_ = false;
  bool cancelling_ = false;
  std::function<void()> drained_;
};

}  // namespace celeriac
