// What the front end counts of itself, for /metrics.
#pragma once

#include "http/front.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <string>

namespace celeriac::http {

struct Front::Counts {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      prometheus::BuildCounter().Name("http_requests_total").Help("Requests answered.").Register(registry);
  prometheus::Family<prometheus::Histogram>& durations = prometheus::BuildHistogram()
                                                             .Name("http_request_duration_seconds")
                                                             .Help("From the request to its answer.")
                                                             .Register(registry);
  prometheus::Gauge& database_waiting = prometheus::BuildGauge()
                                            .Name("http_database_requests_waiting")
                                            .Help("Requests that wait for or use a database connection.")
                                            .Register(registry)
                                            .Add({});
  prometheus::Gauge& streams = prometheus::BuildGauge()
                                   .Name("http_event_streams")
                                   .Help("Readers of server-sent events and WebSockets.")
                                   .Register(registry)
                                   .Add({});

  // `path` is the route's, so there are few; "" stands for all that have none.
  void count(const std::string& method, const std::string& path, unsigned status, double seconds) {
    static const prometheus::Histogram::BucketBoundaries buckets = {.001, .005, .01, .05, .1, .25,
                                                                    .5,   1,    2,   5,   10, 30};
    const std::string verb = path.empty() ? "other" : method;
    requests.Add({{"method", verb}, {"path", path}, {"status", std::to_string(status)}}).Increment();
    durations.Add({{"method", verb}, {"path", path}}, buckets).Observe(seconds);
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(registry.Collect()); }
};

}  // namespace celeriac::http
