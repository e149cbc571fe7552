#include "worker/monitor/process_metrics.hpp"

#include "protocol/time.hpp"
#include "worker/pool/memory.hpp"

#include <sys/resource.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>

namespace celeriac {
namespace {

const double started = unix_now();

double open_descriptors() {
  std::error_code error;
  std::filesystem::directory_iterator folder("/proc/self/fd", error), end;
  double count = 0;
  for (; !error && folder != end; folder.increment(error)) ++count;
  return count;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

prometheus::MetricFamily gauge(std::string name, std::string help,
                               const std::vector<std::pair<MetricLabels, double>>& values) {
  prometheus::MetricFamily family{std::move(name), std::move(help), prometheus::MetricType::Gauge, {}};
  for (const auto& [labels, value] : values) {
    prometheus::ClientMetric metric;
    for (const auto& [label, text] : labels) metric.label.push_back({label, text});
    metric.gauge.value = value;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

prometheus::MetricFamily counter(std::string name, std::string help, double value) {
  prometheus::MetricFamily family{std::move(name), std::move(help), prometheus::MetricType::Counter, {}};
  prometheus::ClientMetric metric;
  metric.counter.value = value;
  family.metric.push_back(std::move(metric));
  return family;
}

std::vector<prometheus::MetricFamily> process_metrics() {
  rusage own{};
  ::getrusage(RUSAGE_SELF, &own);
  return {gauge("process_resident_memory_bytes", "Resident memory.",
                {{{}, static_cast<double>(resident_bytes())}}),
          counter("process_cpu_seconds_total", "CPU time.", seconds(own.ru_utime) + seconds(own.ru_stime)),
          gauge("process_open_fds", "Open file descriptors.", {{{}, open_descriptors()}}),
          gauge("process_start_time_seconds", "When the process started, Unix time.", {{{}, started}})};
}

}  // namespace celeriac
