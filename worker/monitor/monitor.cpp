#include "worker/monitor/monitor.hpp"

#include "config/version.hpp"
#include "protocol/time.hpp"
#include "worker/consumer.hpp"
#include "worker/logging.hpp"
#include "worker/monitor/process_metrics.hpp"
#include "worker/pool.hpp"
#include "worker/request.hpp"
#include "worker/service_manager.hpp"

#include <prometheus/text_serializer.h>
#include <unistd.h>
#include <cstdlib>
#include <utility>

namespace celeriac {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds ask_interval{1000};
constexpr std::chrono::seconds metrics_patience{2}, ledger_patience{5};
constexpr std::chrono::hours expire_interval{1};

// Microseconds in the environment, for this process; we speak twice as often.
double watchdog_interval() {
  const char* pid = std::getenv("WATCHDOG_PID");
  if (pid && std::strtol(pid, nullptr, 10) != ::getpid()) return 0;
  const char* time = std::getenv("WATCHDOG_USEC");
  return time ? std::strtod(time, nullptr) / 2e6 : 0;
}

}  // namespace

Monitor::Monitor(boost::asio::io_context& io, const Settings& settings, Broker& broker, std::string node)
    : io_(io),
      settings_(settings),
      broker_(broker),
      node_(std::move(node)),
      ask_timer_(io),
      watchdog_timer_(io),
      expire_timer_(io),
      stop_timer_(io),
      watchdog_interval_(watchdog_interval()) {}

Expected<std::unique_ptr<Monitor>> Monitor::create(boost::asio::io_context& io, const Settings& settings,
                                                   Broker& broker, std::string node) {
  if (settings.worker_metrics_port.value_or(0) < 0 || settings.worker_metrics_port.value_or(0) > 65535)
    return unexpected("worker_metrics_port: must be from 0 to 65535");
  std::unique_ptr<Monitor> monitor(new Monitor(io, settings, broker, std::move(node)));
  if (settings.worker_metrics_port) monitor->metrics_ = std::make_unique<RunMetrics>(monitor->node_);
  auto ledger = Ledger::connect(io, settings);
  if (!ledger) return tl::unexpected(ledger.error());
  if (*ledger) {
    monitor->ledger_ = std::move(*ledger);
    monitor->run_ledger_ = std::make_unique<RunLedger>(io, *monitor->ledger_, monitor->node_,
                                                       content_types(settings.accept_content));
  }
  return monitor;
}

std::vector<RunObserver*> Monitor::observers() {
  std::vector<RunObserver*> out;
  if (metrics_) out.push_back(metrics_.get());
  if (run_ledger_) out.push_back(run_ledger_.get());
  return out;
}

Expected<void> Monitor::start(const Consumer& consumer, const Pool& pool) {
  consumer_ = &consumer;
  pool_ = &pool;
  if (ledger_) {
    ledger_->start([this](BrokerState state, const std::string& what) {
      if (state == BrokerState::lost) log(LogLevel::error, "ledger " + ledger_->display_url() + ": " + what);
    });
    run_ledger_->start();
    expire();
  }
  if (watchdog_interval_ > 0) feed_watchdog();
  if (!settings_.worker_metrics_port) return {};
  auto server = MonitorServer::listen(
      io_, settings_.worker_metrics_host, static_cast<std::uint16_t>(*settings_.worker_metrics_port),
      [this](const std::string& path, std::function<void(MonitorAnswer)> done) {
        answer(path, std::move(done));
      });
  if (!server) return tl::unexpected(server.error());
  server_ = std::move(*server);
  log(LogLevel::info, "Metrics and probes on http://" + settings_.worker_metrics_host + ":" +
                          std::to_string(server_->port()));
  ask();
  return {};
}

// A connection that is open proves nothing: only an answer does.
void Monitor::ask() {
  if (!std::exchange(asking_, true)) {
    health_.on_asked(unix_now());
    broker_.ping([this](const Status& status) {
      asking_ = false;
      if (status.ok()) health_.on_answered(unix_now());
    });
  }
  ask_timer_.expires_after(ask_interval);
  ask_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) ask();
  });
}

// On the loop, so that a loop that hangs is noticed. A broker that is away is no reason for a restart.
void Monitor::feed_watchdog() {
  notify_service_manager("WATCHDOG=1");
  watchdog_timer_.expires_after(milliseconds(static_cast<std::int64_t>(watchdog_interval_ * 1000)));
  watchdog_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) feed_watchdog();
  });
}

void Monitor::expire() {
  ledger_->expire([this](const Expected<std::uint64_t>& deleted) {
    if (!deleted)
      log(LogLevel::error, deleted.error().what);
    else if (*deleted > 0)
      log(LogLevel::info, "ledger: deleted " + std::to_string(*deleted) + " old runs");
  });
  expire_timer_.expires_after(expire_interval);
  expire_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) expire();
  });
}

void Monitor::answer(const std::string& path, std::function<void(MonitorAnswer)> done) {
  if (path == "/livez") return done({200, "alive\n"});
  if (path == "/startupz")
    return health_.started() ? done({200, "started\n"}) : done({503, "not started: not consuming yet\n"});
  if (path == "/readyz") {
    const auto reason = health_.reason(unix_now());
    return reason.empty() ? done({200, "ready\n"}) : done({503, "not ready: " + reason + "\n"});
  }
  if (path == "/metrics") return write_metrics(std::move(done));
  done({404, "not here: try /metrics, /livez, /readyz or /startupz\n"});
}

// With the depths of the queues when the broker tells them in time, else without.
void Monitor::write_metrics(std::function<void(MonitorAnswer)> done) {
  struct Pending {
    explicit Pending(boost::asio::io_context& io) : timer(io) {}
    boost::asio::steady_timer timer;
    std::function<void(MonitorAnswer)> done;
  };
  auto pending = std::make_shared<Pending>(io_);
  pending->done = std::move(done);
  const auto finish = [this, pending](const std::vector<QueueInfo>& queues) {
    auto answer = std::exchange(pending->done, nullptr);
    if (!answer) return;
    pending->timer.cancel();
    answer({200, metrics_text(queues), "text/plain; version=0.0.4; charset=utf-8"});
  };
  pending->timer.expires_after(metrics_patience);
  pending->timer.async_wait([finish](const boost::system::error_code& error) {
    if (!error) finish({});
  });
  if (!health_.ready(unix_now())) return finish({});
  broker_.inspect(consumer_->queues(), [finish](const Expected<std::vector<QueueInfo>>& queues) {
    finish(queues ? *queues : std::vector<QueueInfo>());
  });
}

std::string Monitor::metrics_text(const std::vector<QueueInfo>& queues) const {
  auto families = metrics_->collect();
  const auto worker = [this](double value) {
    return std::vector<std::pair<MetricLabels, double>>{{{{"hostname", node_}}, value}};
  };
  const auto add = [&](const char* name, const char* help,
                       std::vector<std::pair<MetricLabels, double>> values) {
    families.push_back(gauge(name, help, values));
  };
  const double now = unix_now();
  add("celery_worker_up", "This worker runs.", worker(1));
  add("celery_workers_active", "Workers that consume: sum over all.", worker(health_.ready(now) ? 1 : 0));
  add("celery_worker_tasks_active", "Tasks that run.", worker(static_cast<double>(consumer_->running())));
  add("celery_worker_tasks_held", "Messages held, running ones included.",
      worker(static_cast<double>(consumer_->held())));
  add("celery_worker_slots", "Slots of the pool.", worker(pool_->slots()));
  add("celeriac_ready", "1 when /readyz says so.", worker(health_.ready(now) ? 1 : 0));
  add("celeriac_results_pending", "Results and follow-up messages not yet confirmed.",
      worker(static_cast<double>(consumer_->pending_writes())));
  if (ledger_) {
    add("celeriac_ledger_waiting_rows", "Runs not yet in the ledger.",
        worker(static_cast<double>(ledger_->waiting())));
    families.push_back(counter("celeriac_ledger_written_rows_total", "Runs written to the ledger.",
                               static_cast<double>(ledger_->written())));
    families.push_back(counter("celeriac_ledger_dropped_rows_total", "Runs the ledger could not take.",
                               static_cast<double>(ledger_->dropped())));
  }
  struct Depth {
    const char *name, *help;
    double (*value)(const QueueInfo&);
  };
  static constexpr Depth depths[] = {
      {"celery_queue_length", "Messages ready in the queue; every worker tells the same.",
       [](const QueueInfo& q) { return static_cast<double>(q.ready); }},
      {"celery_queue_unacked", "Messages held by consumers.",
       [](const QueueInfo& q) { return static_cast<double>(q.unacked); }},
      {"celery_queue_delayed", "Messages that wait for their ETA.",
       [](const QueueInfo& q) { return static_cast<double>(q.delayed); }},
      {"celery_queue_dead_letters", "Dead letters that came from the queue.",
       [](const QueueInfo& q) { return static_cast<double>(q.dead); }},
      {"celery_queue_paused", "1 while the queue is paused.",
       [](const QueueInfo& q) { return q.consumers == 0 ? 1.0 : 0.0; }},
  };
  for (const auto& depth : depths) {
    std::vector<std::pair<MetricLabels, double>> values;
    values.reserve(queues.size());
    for (const auto& queue : queues) values.push_back({{{"queue_name", queue.name}}, depth.value(queue)});
    if (!values.empty()) add(depth.name, depth.help, std::move(values));
  }
  families.push_back(
      gauge("celeriac_build_info", "The version that runs.", {{{{"version", std::string(version())}}, 1}}));
  for (auto& family : process_metrics()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

void Monitor::stop(std::function<void()> done) {
  if (std::exchange(stopped_, true)) return done();
  for (auto* timer : {&ask_timer_, &watchdog_timer_, &expire_timer_}) timer->cancel();
  server_.reset();
  if (!ledger_) return done();
  run_ledger_->stop();
  auto once = std::make_shared<std::function<void()>>(std::move(done));
  const auto finish = [this, once] {
    auto then = std::exchange(*once, nullptr);
    if (!then) return;
    stop_timer_.cancel();
    then();
  };
  stop_timer_.expires_after(ledger_patience);
  stop_timer_.async_wait([this, finish](const boost::system::error_code& error) {
    if (error) return;
    log(LogLevel::error, "ledger: " + std::to_string(ledger_->waiting()) + " runs could not be written");
    finish();
  });
  ledger_->stop(finish);
}

}  // namespace celeriac
