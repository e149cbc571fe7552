// Hands every run that ended to the ledger, and tells it of those that take long while they go on.
#pragma once

#include "queues/ledger.hpp"
#include "worker/run_observer.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace celeriac {

class RunLedger final : public RunObserver {
 public:
  // `accept`: content types of bodies whose arguments are shown. The ledger outlives this.
  RunLedger(boost::asio::io_context& io, Ledger& ledger, std::string node, std::vector<std::string> accept);

  // Begins to tell of long runs, and to look for lost ones.
  void start();
  void stop() { timer_.cancel(); }

  void on_received(const Request&) override {}
  void on_started(const Request& request) override;
  void on_ended(const Request& request, const RunEnd& end) override;

 private:
  // What is known of a run before its end.
  struct Open {
    std::shared_ptr<const Message> message;
    std::shared_ptr<const TaskHeaders> headers;
    std::string queue;
    double received = 0, started = 0;
    bool told = false;
  };
  LedgerRow row_of(const Open& run) const;
  void look();

  Ledger& ledger_;
  const std::string node_, holder_;
  const std::vector<std::string> accept_;
  boost::asio::steady_timer timer_;
  std::unordered_map<JobId, Open> open_;
  std::vector<LedgerRow> ended_;  // that were told of; their end is recorded by now
  unsigned turns_ = 0;
};

}  // namespace celeriac
