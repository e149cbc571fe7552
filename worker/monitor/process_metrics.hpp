// The process's own figures, under the names Prometheus gives them everywhere, and a short way to
// state a gauge.
#pragma once

#include <prometheus/metric_family.h>
#include <string>
#include <utility>
#include <vector>

namespace celeriac {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

prometheus::MetricFamily gauge(std::string name, std::string help,
                               const std::vector<std::pair<MetricLabels, double>>& values);
prometheus::MetricFamily counter(std::string name, std::string help, double value);

// process_resident_memory_bytes, process_cpu_seconds_total, process_open_fds, process_start_time_seconds.
std::vector<prometheus::MetricFamily> process_metrics();

}  // namespace celeriac
