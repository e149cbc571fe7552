// What outsiders may see of a worker: /livez, /readyz, /startupz and /metrics on its own port, the
// watchdog of the service manager, and the ledger of runs.
//
// Only the parts that the settings name exist; a worker without any pays nothing.
#pragma once

#include "config/settings.hpp"
#include "queues/broker.hpp"
#include "queues/ledger.hpp"
#include "worker/monitor/health.hpp"
#include "worker/monitor/monitor_server.hpp"
#include "worker/monitor/run_ledger.hpp"
#include "worker/monitor/run_metrics.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

namespace celeriac {

class Consumer;
class Pool;

class Monitor {
 public:
  // The Error names the setting that cannot be used.
  static Expected<std::unique_ptr<Monitor>> create(boost::asio::io_context& io, const Settings& settings,
                                                   Broker& broker, std::string node);

  std::vector<RunObserver*> observers();

  // Opens the port and begins to ask the broker. Call once both are there.
  Expected<void> start(const Consumer& consumer, const Pool& pool);

  Health& health() { return health_; }
  // Writes what the ledger has not written, or gives up after some seconds.
  void stop(std::function<void()> done);

 private:
  Monitor(boost::asio::io_context& io, const Settings& settings, Broker& broker, std::string node);

  void ask();  // the broker, whether it answers
  void feed_watchdog();
  void expire();  // old runs in the ledger, once an hour
  void answer(const std::string& path, std::function<void(MonitorAnswer)> done);
  void write_metrics(std::function<void(MonitorAnswer)> done);
  std::string metrics_text(const std::vector<QueueInfo>& queues) const;

  boost::asio::io_context& io_;
  const Settings& settings_;
  Broker& broker_;
  std::string node_;
  Health health_;
  boost::asio::steady_timer ask_timer_, watchdog_timer_, expire_timer_, stop_timer_;
  double watchdog_interval_ = 0;  // seconds; 0: nobody waits for it
  const Consumer* consumer_ = nullptr;
  const Pool* pool_ = nullptr;
  std::unique_ptr<RunMetrics> metrics_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<RunLedger> run_ledger_;
  std::unique_ptr<MonitorServer> server_;
  bool asking_ = false;  // the broker has a question of ours
  bool stopped_ = false;
};

}  // namespace celeriac
