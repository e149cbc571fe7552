// The beat: sends each entry of the schedule when it is due. Any number of them may share a ledger; each run
// of an entry is sent by one (queues/tick_ledger.hpp).
#pragma once

#include "queues/tick_ledger.hpp"
#include "worker/beat/entry.hpp"

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

namespace celeriac {

class Beat {
 public:
  // `by` is written down beside each run. The Error names a bad entry, zone or broker URL.
  static Expected<std::unique_ptr<Beat>> create(boost::asio::io_context& io, const Settings& settings,
                                                const App& app, std::string by);

  // `on_failed`: the broker was given up, nothing will be sent any more.
  void start(std::function<void(const std::string& why)> on_failed);
  // `done` when what is being sent has arrived; without a connection at once.
  void stop(std::function<void()> done);

  std::string ledger() const { return ledger_->display(); }
  double max_interval() const { return max_interval_; }

 private:
  struct Row {
    BeatEntry entry;
    TickRecord record;
    bool sending = false;
  };

  Beat(boost::asio::io_context& io, const Settings& settings, Zone zone, std::unique_ptr<TickLedger> ledger,
       std::vector<BeatEntry> entries, std::string by);

  void on_state(BrokerState state, const std::string& what);
  void reload();
  void look();
  void send(Row& row, double now);
  void sent(Row& row, const TickRecord& next, const std::string& id, const Expected<bool>& done);
  void wake_at(double unix_seconds);

  const Zone zone_;
  const std::optional<double> deadline_;
  const double max_interval_;  // seconds between two looks at the ledger
  const std::string by_;
  std::unique_ptr<TickLedger> ledger_;
  boost::asio::steady_timer timer_;
  std::vector<std::unique_ptr<Row>> rows_;
  std::function<void(const std::string&)> on_failed_;
  bool connected_ = false, stopping_ = false, reloading_ = false;
};

}  // namespace celeriac
