// One node from start to exit: builds the parts, wires them, and takes them down in order.
#include "worker/worker.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "queues/connect.hpp"
#include "worker/banner.hpp"
#include "worker/beat/beat.hpp"
#include "worker/consumer.hpp"
#include "worker/control/remote_control.hpp"
#include "worker/control/state_file.hpp"
#include "worker/events/gossip.hpp"
#include "worker/events/heart.hpp"
#include "worker/events/read_events.hpp"
#include "worker/logging.hpp"
#include "worker/monitor/monitor.hpp"
#include "worker/node_name.hpp"
#include "worker/pidfile.hpp"
#include "worker/pool_size.hpp"
#include "worker/routes.hpp"
#include "worker/service_manager.hpp"
#include "worker/shutdown.hpp"
#include "worker/stall.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace celeriac {
namespace {

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;
constexpr int exit_cannot_create = 73;  // the pidfile belongs to a live process
constexpr std::chrono::milliseconds tick_interval{250};
constexpr double gossip_interval = 5;  // seconds between two looks for silent nodes, Celery's
constexpr double cold_grace = 10;      // seconds for a cold shutdown to reach its servers

unsigned concurrency(const Settings& settings, const WorkerOptions& options) {
  if (options.autoscale_max) return static_cast<unsigned>(std::max(1, options.autoscale_min.value_or(0)));
  if (settings.worker_concurrency > 0) return static_cast<unsigned>(settings.worker_concurrency);
  return std::max(1u, std::thread::hardware_concurrency());
}

std::optional<Autoscaler> autoscaler(const WorkerOptions& options) {
  if (!options.autoscale_max) return std::nullopt;
  constexpr double default_keepalive = 30;  // seconds, Celery's
  const char* text = std::getenv("AUTOSCALE_KEEPALIVE");
  const double keepalive = text ? std::strtod(text, nullptr) : 0;
  return Autoscaler(static_cast<unsigned>(*options.autoscale_max),
                    static_cast<unsigned>(options.autoscale_min.value_or(0)),
                    keepalive > 0 ? keepalive : default_keepalive);
}

PoolOptions pool_options(const Settings& settings, const WorkerOptions& options) {
  PoolOptions pool;
  pool.slots = concurrency(settings, options);
  pool.max_tasks_per_slot =
      static_cast<unsigned>(std::max(0, settings.worker_max_tasks_per_child.value_or(0)));
  const auto kib = [](const std::optional<std::int64_t>& value) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, value.value_or(0))) * 1024;
  };
  pool.max_memory_per_slot = kib(settings.worker_max_memory_per_child);
  pool.memory_limit = kib(settings.worker_task_memory_limit);
  pool.alive_timeout = settings.worker_proc_alive_timeout;
  // How many really wait there follows the tasks' pace: see Prefetch::lookahead().
  pool.queued_per_slot = options.optimization == "fair" ? 0 : 32;
  pool.accept = content_types(settings.accept_content);
  pool.log_level = options.loglevel;
  if (settings.worker_redirect_stdouts) {
    const auto level = parse_log_level(settings.worker_redirect_stdouts_level);
    pool.stdout_level = static_cast<int>(level.value_or(LogLevel::warning));
  }
  return pool;
}

Prefetch::Options prefetch_options(const Settings& settings, const WorkerOptions& options, unsigned slots) {
  Prefetch::Options prefetch;
  prefetch.concurrency = slots;
  prefetch.multiplier = settings.worker_disable_prefetch ? 1 : settings.worker_prefetch_multiplier;
  prefetch.strict = settings.worker_disable_prefetch || settings.worker_prefetch_multiplier_set;
  prefetch.fair = options.optimization == "fair";
  prefetch.eta_task_limit = settings.worker_eta_task_limit;
  return prefetch;
}

Shutdown::Options shutdown_options(const Settings& settings) {
  Shutdown::Options shutdown;
  shutdown.soft_timeout = settings.worker_soft_shutdown_timeout;
  shutdown.soft_on_idle = settings.worker_enable_soft_shutdown_on_idle;
  const char* remap = std::getenv("REMAP_SIGTERM");
  shutdown.term_is_quit = remap && std::string_view(remap) == "SIGQUIT";
  return shutdown;
}

class Worker {
 public:
  Worker(const App& app, const Settings& settings, const WorkerOptions& options)
      : app_(app),
        settings_(settings),
        options_(options),
        node_(expand_node_name(options.hostname, host_name())),
        shutdown_(shutdown_options(settings)),
        signals_(io_, SIGTERM, SIGINT, SIGQUIT),
        tick_timer_(io_),
        stop_timer_(io_) {
    signals_.add(SIGHUP);
  }

  const std::string& node() const { return node_; }

  // Connects nothing yet. The Error is for the user.
  Expected<bool> build();
  int run();

 private:
  void build_monitoring();
  void build_gossip();
  void listen_to_others();
  Expected<bool> load_revoked();
  void save_revoked();
  void start();
  void on_broker_state(BrokerState state, const std::string& what);
  void on_connected();
  void purge(std::function<void()> done);
  void consume();
  void wait_for_signal();
  void on_signal(int number);
  void take_step(Shutdown::Step step);
  void die(const std::string& what);
  void tick();
  void look_for_stall(double now);
  void stop_warm();
  void stop_cold();
  void leave();
  void close_connections();
  void finish_at(double seconds);
  std::string show_banner() const;

  const App& app_;
  const Settings& settings_;
  const WorkerOptions& options_;
  std::string node_;
  Shutdown shutdown_;
  StallDetector stall_;
  bool connected_ = false, was_ready_ = false, leaving_ = false;

  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_;
  boost::asio::steady_timer tick_timer_, stop_timer_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<ResultStores> stores_;
  std::unique_ptr<Pool> pool_;
  LamportClock clock_;
  std::unique_ptr<EventDispatcher> events_;
  std::unique_ptr<Consumer> consumer_;
  std::unique_ptr<PoolSize> pool_size_;
  std::unique_ptr<Beat> beat_;      // null: without -B
  std::unique_ptr<Gossip> gossip_;  // null: --without-gossip
  double gossip_looked_ = 0;        // Unix seconds
  std::unique_ptr<Monitor> monitor_;
  std::unique_ptr<Heart> heart_;            // null: --without-heartbeat
  std::unique_ptr<RemoteControl> control_;  // null: not enabled, or the transport has no broadcasts
};

Expected<bool> Worker::build() {
  auto broker = make_broker(io_, settings_);
  if (!broker) return tl::unexpected(broker.error());
  broker_ = std::move(*broker);
  auto stores = ResultStores::connect(io_, settings_);
  if (!stores) return tl::unexpected(stores.error());
  stores_ = std::make_unique<ResultStores>(std::move(*stores));
  const PoolOptions pool_opts = pool_options(settings_, options_);
  auto pool = make_pool(settings_.worker_pool, io_, app_, pool_opts);
  if (!pool) return tl::unexpected(pool.error());
  pool_ = std::move(*pool);
  EventDispatcher::Options events;
  events.node = node_;
  events.pid = ::getpid();
  events.task_events = settings_.worker_send_task_events;
  EventDispatcher::Outlet outlet;
  outlet.send = [this](const Message& message) { return broker_->broadcast(message); };
  outlet.flush_soon = [this] { boost::asio::post(io_, [this] { events_->flush(); }); };
  events_ = std::make_unique<EventDispatcher>(std::move(events), clock_, std::move(outlet));
  const auto scaler = autoscaler(options_);
  const unsigned most_slots = scaler ? scaler->max() : pool_opts.slots;
  auto monitor = Monitor::create(io_, settings_, *broker_, node_);
  if (!monitor) return tl::unexpected(monitor.error());
  monitor_ = std::move(*monitor);
  auto consumer = Consumer::create(
      {io_, app_, settings_, *broker_, *stores_, *pool_, node_, consumed_queues(settings_, options_, app_),
       prefetch_options(settings_, options_, most_slots), events_.get(), monitor_->observers()});
  if (!consumer) return tl::unexpected(consumer.error());
  consumer_ = std::move(*consumer);
  pool_size_ = std::make_unique<PoolSize>(*pool_, *consumer_, scaler);
  if (consumer_->queues().empty()) return unexpected("no queue is left to consume from");
  if (options_.beat) {
    auto beat = Beat::create(io_, settings_, app_, node_);
    if (!beat) return tl::unexpected(beat.error());
    beat_ = std::move(*beat);
  }
  build_monitoring();
  if (auto started = monitor_->start(*consumer_, *pool_); !started) return tl::unexpected(started.error());
  return load_revoked();
}

void Worker::build_monitoring() {
  if (!broker_->can_broadcast()) return;
  const auto load = [this] { return NodeLoad{consumer_->running(), consumer_->processed()}; };
  heart_ = std::make_unique<Heart>(io_, *events_, options_.heartbeat_interval, load);
  if (!options_.without_gossip) build_gossip();
  if (!settings_.worker_enable_remote_control) return;
  ControlPanel panel{node_, app_, settings_, options_, *consumer_, *pool_, *pool_size_, *events_, clock_};
  panel.gossip = gossip_.get();
  panel.results_url = stores_->display();
  panel.started_at = unix_now();
  panel.send_heartbeat = [this] { heart_->beat_once(); };
  panel.shut_down = [this] {
    boost::asio::post(
        io_, [this] { take_step(shutdown_.on_request(Shutdown::Request::term, consumer_->running() > 0)); });
  };
  control_ = std::make_unique<RemoteControl>(io_, *broker_, std::move(panel));
}

void Worker::build_gossip() {
  Gossip::Outlet outlet;
  outlet.send = [this](const char* type, const std::vector<std::pair<std::string, std::string>>& members) {
    EventFields fields;
    for (const auto& [name, value] : members) fields.json(name, value);
    events_->worker(type, fields, unix_now());
  };
  outlet.win = [this](const std::string& topic, const Json& action) {
    if (topic == "task") return consumer_->send_signature(action);
    log(LogLevel::error, "Unknown election topic '" + topic + "'");
  };
  outlet.info = [](const std::string& line) { log(LogLevel::info, line); };
  outlet.debug = [](const std::string& line) { log(LogLevel::debug, line); };
  gossip_ = std::make_unique<Gossip>(node_, ::getpid(), std::move(outlet));
}

void Worker::listen_to_others() {
  broker_->subscribe(
      "celeryev", "worker.#", settings_.event_queue_prefix + "." + uuid4(), [this](Message&& message) {
        const auto events = read_events(message);
        if (!events) return log(LogLevel::error, "gossip: an event cannot be read: " + events.error().what);
        for (const Json& event : *events) {
          if (const auto clock = event.find("clock"); clock != event.end() && clock->is_number_unsigned()) {
            clock_.adjust(clock->get<std::uint64_t>());
          }
          gossip_->on_event(event, unix_now());
        }
      });
}

Expected<bool> Worker::load_revoked() {
  if (settings_.worker_state_db.empty()) return true;
  return load_state(expand_path(settings_.worker_state_db, node_), consumer_->revoked(), clock_, unix_now());
}

void Worker::save_revoked() {
  if (settings_.worker_state_db.empty()) return;
  const std::string path = expand_path(settings_.worker_state_db, node_);
  if (auto saved = save_state(path, consumer_->revoked(), clock_, unix_now()); !saved) {
    log(LogLevel::error, saved.error().what);
  }
}

std::string Worker::show_banner() const {
  BannerFacts facts;
  facts.node = node_;
  facts.transport = broker_->display_url();
  facts.results = stores_->display();
  facts.pool = pool_->name();
  const auto& scaler = pool_size_->autoscaler();
  facts.concurrency = scaler ? fmt::format("{{min={}, max={}}}", scaler->min(), scaler->max())
                             : std::to_string(pool_->slots());
  facts.task_events = settings_.worker_send_task_events;
  facts.list_tasks = log_enabled(LogLevel::info);
  facts.queues = consumer_->queues();
  return banner(facts, app_, settings_);
}

int Worker::run() {
  if (!options_.quiet) {
    std::fputs(show_banner().c_str(), stdout);
    std::fflush(stdout);
  }
  start();
  io_.run();
  return shutdown_.exit_code();
}

void Worker::start() {
  wait_for_signal();
  Pool::Handlers pool;
  pool.on_started = [this](std::vector<Started>&& batch) { consumer_->on_started(std::move(batch)); };
  pool.on_finished = [this](std::vector<Finished>&& batch) { consumer_->on_finished(std::move(batch)); };
  pool.on_request = [this](JobId job, TaskRequest&& request, std::function<void(std::string)> reply) {
    consumer_->on_request(job, std::move(request), std::move(reply));
  };
  pool.on_fatal = [this](const std::string& what) { die("Could not start worker processes: " + what); };
  pool.on_recalled = [this](std::vector<JobId> jobs) { consumer_->on_recalled(std::move(jobs)); };
  pool.on_soft_timeout = [this](JobId job, double limit) { consumer_->on_soft_timeout(job, limit); };
  pool_->start(std::move(pool));

  stores_->start([this](BrokerState state, const std::string& what) {
    if (state == BrokerState::lost) log(LogLevel::error, "result store: " + what);
    // Refused for what the settings say: tasks that run now could not store what they return.
    if (state == BrokerState::failed) die(fmt::format("result store {}: {}", stores_->display(), what));
  });
  Broker::Handlers broker;
  broker.on_deliveries = [this](std::vector<Delivery>&& batch) {
    stall_.on_progress(unix_now());
    monitor_->health().on_stalled(false);
    consumer_->on_deliveries(std::move(batch));
    if (!shutdown_.going_down()) pool_size_->follow(unix_now());
  };
  broker.on_taken = [this](const std::vector<Tag>& tags) { consumer_->on_taken(tags); };
  broker.on_state = [this](BrokerState state, const std::string& what) { on_broker_state(state, what); };
  broker_->start(std::move(broker));
  if (beat_) beat_->start([this](const std::string& why) { die("beat: " + why); });
  tick();
}

void Worker::on_broker_state(BrokerState state, const std::string& what) {
  monitor_->health().on_connected(state == BrokerState::connected);
  switch (state) {
    case BrokerState::connecting:
      if (!what.empty()) {
        log(LogLevel::error, fmt::format("consumer: Cannot connect to {}: {}", broker_->display_url(), what));
      }
      break;
    case BrokerState::connected:
      connected_ = true;
      on_connected();
      break;
    case BrokerState::lost:
      if (connected_) {
        log(LogLevel::warning,
            fmt::format("consumer: Connection to broker lost. Trying to re-establish the connection... ({})",
                        what));
      } else {
        log(LogLevel::error, fmt::format("consumer: Cannot connect to {}: {}", broker_->display_url(), what));
      }
      connected_ = false;
      break;
    case BrokerState::failed:
      die(fmt::format("broker {}: {}", broker_->display_url(), what));
      break;
  }
}

void Worker::on_connected() {
  if (shutdown_.going_down()) return;
  stall_.on_progress(unix_now());
  log(LogLevel::info, "Connected to " + broker_->display_url());
  events_->flush();
  if (heart_ && !options_.without_heartbeat) heart_->start();
  if (options_.purge && !was_ready_)
    purge([this] { consume(); });
  else
    consume();
}

void Worker::purge(std::function<void()> done) {
  auto left = std::make_shared<std::size_t>(consumer_->queues().size());
  auto erased = std::make_shared<std::uint64_t>(0);
  for (const auto& queue : consumer_->queues()) {
    broker_->purge(queue, [left, erased, done](const Expected<std::uint64_t>& count) {
      if (count)
        *erased += *count;
      else
        log(LogLevel::error, "purge: " + count.error().what);
      if (--*left > 0) return;
      std::printf("purge: Erased %llu messages from the queue.\n\n",
                  static_cast<unsigned long long>(*erased));
      std::fflush(stdout);
      done();
    });
  }
}

void Worker::consume() {
  consumer_->consume();
  if (was_ready_) return;
  was_ready_ = true;
  monitor_->health().on_consuming();
  if (control_) {
    control_->listen();
    if (!options_.without_mingle) control_->mingle();
  }
  if (gossip_) listen_to_others();
  log(LogLevel::info, node_ + " ready.");
  notify_service_manager("READY=1");
}

void Worker::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    wait_for_signal();
    on_signal(number);
  });
}

void Worker::on_signal(int number) {
  if (number == SIGHUP) return reopen_log();
  const auto request = number == SIGTERM  ? Shutdown::Request::term
                       : number == SIGINT ? Shutdown::Request::interrupt
                                          : Shutdown::Request::quit;
  take_step(shutdown_.on_request(request, consumer_->running() > 0));
}

void Worker::take_step(Shutdown::Step step) {
  if (!shutdown_.notice().empty()) {
    std::printf("\n%s\n", shutdown_.notice().c_str());
    std::fflush(stdout);
  }
  switch (step) {
    case Shutdown::Step::none:
      break;
    case Shutdown::Step::warm:
      stop_warm();
      break;
    case Shutdown::Step::soft:
      stop_warm();
      stop_timer_.expires_after(std::chrono::milliseconds(
          static_cast<std::int64_t>(settings_.worker_soft_shutdown_timeout * 1000)));
      stop_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error && !leaving_) take_step(shutdown_.soft_timeout_passed());
      });
      break;
    case Shutdown::Step::cold:
      stop_cold();
      break;
    case Shutdown::Step::abandon:
      std::_Exit(exit_failure);
  }
}

void Worker::die(const std::string& what) {
  log(LogLevel::critical, what);
  shutdown_.fail();
  if (!shutdown_.going_down()) (void)shutdown_.on_request(Shutdown::Request::quit, false);
  stop_cold();
}

void Worker::stop_warm() {
  monitor_->health().on_going_down();
  notify_service_manager("STOPPING=1");
  if (heart_) heart_->stop();
  consumer_->drain([this] { leave(); });
}

void Worker::stop_cold() {
  monitor_->health().on_going_down();
  notify_service_manager("STOPPING=1");
  if (heart_) heart_->stop();
  finish_at(cold_grace);
  consumer_->cancel_running();
  consumer_->drain([this] { leave(); });
  pool_->stop([] {});
}

// Servers that do not answer must not keep a worker alive that was told to die.
void Worker::finish_at(double seconds) {
  stop_timer_.expires_after(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
  stop_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    log(LogLevel::error, "shutdown: giving up on what is still open");
    std::_Exit(shutdown_.exit_code());
  });
}

void Worker::leave() {
  if (std::exchange(leaving_, true)) return;
  if (beat_) return beat_->stop([this] { close_connections(); });
  close_connections();
}

void Worker::close_connections() {
  tick_timer_.cancel();
  if (control_) control_->stop();
  events_->flush();
  save_revoked();
  stores_->stop([this] {
    broker_->stop([this](std::size_t restored) {
      if (restored > 0) {
        log(LogLevel::warning, fmt::format("Restoring {} unacknowledged message(s)", restored));
      }
      pool_->stop([this] {
        monitor_->stop([this] {
          signals_.cancel();
          stop_timer_.cancel();
          io_.stop();
        });
      });
    });
  });
}

void Worker::tick() {
  const double now = unix_now();
  consumer_->tick();
  if (!shutdown_.going_down()) pool_size_->follow(now);
  look_for_stall(now);
  if (gossip_ && now - gossip_looked_ > gossip_interval) {
    gossip_looked_ = now;
    gossip_->look_for_silent(now);
  }
  tick_timer_.expires_after(tick_interval);
  tick_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !leaving_) tick();
  });
}

void Worker::look_for_stall(double now) {
  const bool idle = connected_ && was_ready_ && consumer_->idle();
  if (!stall_.should_ask(now, idle)) return;
  broker_->inspect(consumer_->queues(), [this](const Expected<std::vector<QueueInfo>>& infos) {
    if (!infos) return;
    std::uint64_t ready = 0;
    for (const QueueInfo& info : *infos)
      if (info.consumers != 0) ready += info.ready;  // 0: paused
    const bool stalled = stall_.on_depth(unix_now(), ready);
    monitor_->health().on_stalled(stalled);
    if (!stalled) return;
    log(LogLevel::warning,
        fmt::format("{} messages wait, slots are free and nothing is delivered: consuming anew", ready));
    consumer_->consume();
  });
}

}  // namespace

int run_worker(const App& app, const Settings& settings, const WorkerOptions& options) {
  const auto usage_error = [](const std::string& what) {
    std::fprintf(stderr, "Error: %s\n", what.c_str());
    return exit_usage;
  };
  const std::string node = expand_node_name(options.hostname, host_name());
  if (auto logging = start_logging(settings, options, expand_path(options.logfile, node)); !logging) {
    return usage_error(logging.error().what);
  }
  std::optional<Pidfile> pidfile;
  if (!options.pidfile.empty()) {
    auto created = Pidfile::create(expand_path(options.pidfile, node));
    if (!created) {
      std::fprintf(stderr, "ERROR: %s\n", created.error().what.c_str());
      return exit_cannot_create;
    }
    pidfile.emplace(std::move(*created));
  }
  // A peer that went away is an error of the write, not of the process.
  ::signal(SIGPIPE, SIG_IGN);
  Worker worker(app, settings, options);
  if (auto built = worker.build(); !built) return usage_error(built.error().what);
  return worker.run();
}

}  // namespace celeriac
