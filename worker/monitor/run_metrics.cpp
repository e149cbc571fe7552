#include "worker/monitor/run_metrics.hpp"

#include "protocol/result.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <algorithm>
#include <map>
#include <utility>

namespace celeriac {
namespace {

using Labels = std::map<std::string, std::string>;

// celery-exporter's buckets start at 5 ms; native tasks need finer ones.
const prometheus::Histogram::BucketBoundaries runtime_buckets = {
    .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 150, 300};

}  // namespace

struct RunMetrics::Impl {
  explicit Impl(std::string host) : hostname(std::move(host)) {}

  struct Series {
    prometheus::Counter *received, *started, *succeeded, *failed, *retried, *revoked, *rejected, *ignored;
    prometheus::Counter* cpu;
    prometheus::Gauge* peak;
    prometheus::Histogram* runtime;
  };

  prometheus::Family<prometheus::Counter>& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }

  // Tasks are those registered here and queues those consumed, so there are few.
  Series& of(const Request& request) {
    const auto key = std::pair<const void*, std::string_view>(request.policy, request.queue);
    const auto found = series.find(key);
    if (found != series.end()) return found->second;
    const Labels labels = {
        {"name", request.headers->task}, {"queue_name", request.queue}, {"hostname", hostname}};
    Series made;
    made.received = &received.Add(labels);
    made.started = &started.Add(labels);
    made.succeeded = &succeeded.Add(labels);
    made.failed = &failed.Add(labels);
    made.retried = &retried.Add(labels);
    made.revoked = &revoked.Add(labels);
    made.rejected = &rejected.Add(labels);
    made.ignored = &ignored.Add(labels);
    made.cpu = &cpu.Add(labels);
    made.peak = &peak.Add(labels);
    made.runtime = &runtime.Add(labels, runtime_buckets);
    queue_names.push_back(std::make_unique<std::string>(request.queue));
    return series.emplace(std::pair<const void*, std::string_view>(request.policy, *queue_names.back()), made)
        .first->second;
  }

  std::string hostname;
  prometheus::Registry registry;
  std::vector<std::unique_ptr<std::string>> queue_names;  // what the keys below look at
  std::map<std::pair<const void*, std::string_view>, Series> series;

  prometheus::Family<prometheus::Counter>&received = counter("celery_task_received_total", "Tasks received."),
  &started = counter("celery_task_started_total", "Runs started."),
  &succeeded = counter("celery_task_succeeded_total", "Runs that succeeded."),
  &failed = counter("celery_task_failed_total", "Runs that failed."),
  &retried = counter("celery_task_retried_total", "Runs that asked for a retry."),
  &revoked = counter("celery_task_revoked_total", "Tasks revoked or expired."),
  &rejected = counter("celery_task_rejected_total", "Runs that rejected their message."),
  &ignored = counter("celery_task_ignored_total", "Runs that asked to be ignored."),
  &cpu = counter("celery_task_cpu_seconds_total", "CPU time of the runs.");
  prometheus::Family<prometheus::Gauge>& peak =
      prometheus::BuildGauge()
          .Name("celery_task_peak_memory_bytes")
          .Help("The largest resident memory of a run since the worker started; 0 where slots are threads.")
          .Register(registry);
  prometheus::Family<prometheus::Histogram>& runtime = prometheus::BuildHistogram()
                                                           .Name("celery_task_runtime")
                                                           .Help("Seconds in the task.")
                                                           .Register(registry);
};

RunMetrics::RunMetrics(std::string hostname) : impl_(std::make_unique<Impl>(std::move(hostname))) {}
RunMetrics::~RunMetrics() = default;

void RunMetrics::on_received(const Request& request) { impl_->of(request).received->Increment(); }
void RunMetrics::on_started(const Request& request) { impl_->of(request).started->Increment(); }

void RunMetrics::on_ended(const Request& request, const RunEnd& end) {
  auto& series = impl_->of(request);
  auto* counter = end.state == state::success    ? series.succeeded
                  : end.state == state::retry    ? series.retried
                  : end.state == state::revoked  ? series.revoked
                  : end.state == state::rejected ? series.rejected
                  : end.state == state::ignored  ? series.ignored
                                                 : series.failed;
  if (end.state != run_lost) counter->Increment();  // it comes again, and is counted then
  if (request.started_at == 0) return;
  series.runtime->Observe(end.usage.wall);
  if (end.usage.cpu > 0) series.cpu->Increment(end.usage.cpu);
  series.peak->Set(std::max(series.peak->Value(), static_cast<double>(end.usage.peak_rss)));
}

std::vector<prometheus::MetricFamily> RunMetrics::collect() const { return impl_->registry.Collect(); }

}  // namespace celeriac
