// Hands every run that ended to the ledger.
#pragma once

#include "queues/ledger.hpp"
#include "worker/run_observer.hpp"

#include <string>
#include <vector>

namespace celeriac {

class RunLedger final : public RunObserver {
 public:
  // `accept`: content types of bodies whose arguments are shown.
  RunLedger(Ledger& ledger, std::string node, std::vector<std::string> accept)
      : ledger_(ledger), node_(std::move(node)), accept_(std::move(accept)) {}

  void on_received(const Request&) override {}
  void on_started(const Request&) override {}
  void on_ended(const Request& request, const RunEnd& end) override;

 private:
  Ledger& ledger_;
  std::string node_;
  std::vector<std::string> accept_;
};

}  // namespace celeriac
