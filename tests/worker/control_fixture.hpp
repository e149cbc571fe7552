// A node without servers: a broker and a pool that only note what they are told.
#pragma once

#include "worker/control/command_table.hpp"

#include "protocol/body.hpp"
#include "protocol/time.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::control_test {

class NotingBroker final : public Broker {
 public:
  void start(Handlers) override {}
  void consume(std::vector<std::string> queues) override { consumed = std::move(queues); }
  void set_window(unsigned value) override { window = value; }
  void pause() override {}
  void ack(Tag tag) override { acked.push_back(tag); }
  void reject(Tag tag, Requeue requeue) override {
    (requeue == Requeue::yes ? requeued : rejected).push_back(tag);
  }
  void bury(Tag tag, DeadLetter) override { buried.push_back(tag); }
  void defer(Tag tag, Clock::time_point) override { deferred.push_back(tag); }
  void publish(Message message, Done done) override {
    published.push_back(std::move(message));
    done({});
  }
  void flush(Done done) override { done({}); }
  void ping(Done done) override { done({}); }
  void stop(std::function<void(std::size_t)> done) override { done(0); }
  void inspect(std::vector<std::string>, std::function<void(Expected<std::vector<QueueInfo>>)>) override {}
  void purge(std::string, std::function<void(Expected<std::uint64_t>)>) override {}
  void declare(std::string, Done) override {}
  bool can_broadcast() const override { return true; }
  void subscribe(std::string, std::string, std::string, OnMessage on_message) override {
    request = std::move(on_message);
  }
  std::string display_url() const override { return "redis://:**@localhost//"; }

  std::vector<std::string> consumed;
  std::vector<Tag> acked, rejected, requeued, buried, deferred;
  std::vector<Message> published;
  unsigned window = 0;
  OnMessage request;
};

class NotingPool final : public Pool {
 public:
  void start(Handlers) override {}
  void submit(Job job) override { jobs.push_back(std::move(job)); }
  unsigned slots() const override { return slot_count; }
  unsigned busy() const override { return 0; }
  std::size_t queued() const override { return jobs.size(); }
  std::vector<JobId> drop_queued() override {
    std::vector<JobId> out;
    while (jobs.size() > begun) {
      out.insert(out.begin(), jobs.back().id);
      jobs.pop_back();
    }
    return out;
  }
  bool terminate(JobId job, int signal) override {
    terminated[job] = signal;
    return true;
  }
  void grow(unsigned n) override { slot_count += n; }
  void shrink(unsigned n) override { slot_count -= n; }
  void stop(std::function<void()>) override {}
  std::vector<int> pids() const override { return {100, 101}; }
  std::string name() const override { return "prefork"; }

  unsigned slot_count = 2;
  std::vector<Job> jobs;
  std::size_t begun = 0;
  std::map<JobId, int> terminated;
};

class NotingStore final : public ResultBackend {
 public:
  explicit NotingStore(std::vector<TaskResult>& rows) : rows_(rows) {}
  void start(std::function<void(BrokerState, std::string)>) override {}
  void store(TaskResult result, Done done) override {
    rows_.push_back(std::move(result));
    done({});
  }
  void fetch(std::string, std::function<void(Expected<std::optional<Json>>)>) override {}
  void wait(std::string, std::chrono::milliseconds, std::function<void(Expected<Json>)>) override {}
  void forget(std::string, std::function<void(Expected<bool>)>) override {}
  void stop(std::function<void()> done) override { done(); }
  std::string display_url() const override { return "redis://"; }

 private:
  std::vector<TaskResult>& rows_;
};

struct Node {
  boost::asio::io_context io{1};
  App app;
  Settings settings;
  WorkerOptions options;
  NotingBroker broker;
  NotingPool pool;
  std::vector<TaskResult> rows;
  std::unique_ptr<ResultStores> stores;
  LamportClock clock;
  std::vector<Message> events_sent;
  std::unique_ptr<EventDispatcher> events;
  std::unique_ptr<Consumer> consumer;
  std::unique_ptr<PoolSize> pool_size;
  std::unique_ptr<ControlPanel> panel;
  int heartbeats = 0, shutdowns = 0;
  Tag last_tag = 0;

  explicit Node(bool task_events = false, std::optional<Autoscaler> autoscaler = {}, Settings given = {})
      : settings(std::move(given)) {
    app.task("t.add", +[](Context&, double x, double y) -> Json { return x + y; }, {.params = {"x", "y"}});
    app.task("t.slow", +[](Context&) -> Json { return nullptr; }, {.max_retries = 5, .rate_limit = "10/m"});
    std::vector<std::unique_ptr<ResultBackend>> backends;
    backends.push_back(std::make_unique<NotingStore>(rows));
    stores = std::make_unique<ResultStores>(std::move(backends));
    EventDispatcher::Options o;
    o.node = "w1@host";
    o.task_events = task_events;
    EventDispatcher::Outlet outlet;
    outlet.send = [this](const Message& message) {
      events_sent.push_back(message);
      return true;
    };
    outlet.flush_soon = [] {};
    events = std::make_unique<EventDispatcher>(o, clock, outlet);
    Consumer::Parts parts{io,        app,        settings,           broker,      *stores, pool,
                          "w1@host", {"celery"}, {.concurrency = 2}, events.get()};
    auto made = Consumer::create(std::move(parts));
    REQUIRE(made);
    consumer = std::move(*made);
    pool_size = std::make_unique<PoolSize>(pool, *consumer, autoscaler);
    panel.reset(
        new ControlPanel{"w1@host", app, settings, options, *consumer, pool, *pool_size, *events, clock});
    panel->started_at = unix_now();
    panel->send_heartbeat = [this] { ++heartbeats; };
    panel->shut_down = [this] { ++shutdowns; };
  }

  Json ask(std::string_view method, const Json& arguments = Json::object()) {
    auto answer = run_control_command(*panel, method, arguments);
    REQUIRE(answer);
    return std::move(*answer);
  }

  // Delivers one message of t.add or another task.
  void deliver(const std::string& id, const std::string& task = "t.add",
               const std::function<void(TaskHeaders&)>& change = {}, bool redelivered = false) {
    TaskHeaders headers;
    headers.id = headers.root_id = id;
    headers.task = task;
    headers.argsrepr = "(1, 2)";
    headers.kwargsrepr = "{}";
    if (change) change(headers);
    Body body;
    body.args = {1, 2};
    Delivery delivery;
    delivery.tag = ++last_tag;
    delivery.queue = "celery";
    delivery.redelivered = redelivered;
    delivery.message.headers = write_headers(headers);
    delivery.message.body = write_body(body);
    delivery.message.properties.routing_key = "celery";
    delivery.message.properties.priority = 0;
    std::vector<Delivery> batch;
    batch.push_back(std::move(delivery));
    consumer->on_deliveries(std::move(batch));
  }

  // The pool says that the n-th job it got has begun.
  void begin(std::size_t n) {
    pool.begun = std::max(pool.begun, n + 1);
    consumer->on_started({Started{pool.jobs.at(n).id, 100, 1795172805.5}});
  }
  void finish(std::size_t n, Outcome outcome) {
    Finished finished;
    finished.job = pool.jobs.at(n).id;
    finished.outcome = std::move(outcome);
    std::vector<Finished> batch;
    batch.push_back(std::move(finished));
    consumer->on_finished(std::move(batch));
  }
  // Types of the task events sent so far.
  std::vector<std::string> told() {
    events->flush();
    std::vector<std::string> types;
    for (const Message& message : events_sent) {
      const Json batch = *parse_json(message.body);
      for (const Json& event : batch) {
        types.push_back(event["type"].get<std::string>() + " " + event["uuid"].get<std::string>());
      }
    }
    return types;
  }
};

}  // namespace celeriac::control_test
