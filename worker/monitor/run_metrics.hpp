// Counts what tasks do, for Prometheus. Names and labels are celery-exporter's, so its dashboards and
// alerts work; what it does not have begins with celery_task_ or celeriac_ as well.
#pragma once

#include "worker/run_observer.hpp"

#include <prometheus/metric_family.h>
#include <memory>
#include <string>
#include <vector>

namespace celeriac {

class RunMetrics final : public RunObserver {
 public:
  explicit RunMetrics(std::string hostname);
  ~RunMetrics() override;

  void on_received(const Request& request) override;
  void on_started(const Request& request) override;
  void on_ended(const Request& request, const RunEnd& end) override;

  std::vector<prometheus::MetricFamily> collect() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace celeriac
