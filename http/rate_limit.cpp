#include "http/rate_limit.hpp"

#include "protocol/time.hpp"

#include <algorithm>

namespace celeriac::http {
namespace {

// Counts, and begins the window with the first.
constexpr const char* script =
    "local n = redis.call('INCR', KEYS[1]) if redis.call('PTTL', KEYS[1]) < 0 then redis.call('EXPIRE', "
    "KEYS[1], "
    "ARGV[1]) end return {n, redis.call('PTTL', KEYS[1])}";

}  // namespace

RateVerdict LocalRates::count(const std::string& caller, int limit, double now) {
  if (callers_.size() >= most_callers)
    std::erase_if(callers_, [&](const auto& entry) { return now - entry.second.begun >= window; });
  auto& seen = callers_[caller];
  if (seen.count == 0 || now - seen.begun >= window) seen = {now, 0};
  const int reset = static_cast<int>(seen.begun + window - now) + 1;
  if (seen.count >= limit) return {false, 0, reset};
  ++seen.count;
  return {true, limit - seen.count, reset};
}

RateLimits::RateLimits(boost::asio::io_context& io, const Settings& settings) {
  const bool broker = redis::is_redis_url(settings.broker_url);
  const auto url = broker ? settings.broker_url : settings.result_backend;
  if (!redis::is_redis_url(url)) return;
  const auto& redis = broker ? settings.broker_transport_options : settings.result_backend_transport_options;
  auto options = redis::connection_options(url, redis,
                                           broker ? settings.broker_use_ssl : settings.redis_backend_use_ssl);
  if (!options) return;  // broker or store have told what is wrong with it
  options->client_name = "celeriac";
  options->socket_timeout = std::chrono::seconds(2);
  prefix_ = redis.global_keyprefix + "celeriac.rate.";
  shared_ = std::make_unique<redis::Connection>(io, std::move(*options));
}

void RateLimits::start() {
  if (shared_) shared_->start({[] {}, [](const std::string&) {}, [](const std::string&) {}, nullptr});
}

void RateLimits::count(const std::string& caller, int limit, std::function<void(const RateVerdict&)> then) {
  if (limit <= 0) return then({});
  if (!shared_ || !shared_->ready()) return then(local_.count(caller, limit, unix_now()));
  const auto window = std::to_string(static_cast<int>(LocalRates::window));
  shared_->send({"EVAL", script, "1", prefix_ + caller, window},
                [this, caller, limit, then = std::move(then)](redis::Reply reply) {
                  if (reply.size() != 2) return then(local_.count(caller, limit, unix_now()));
                  const auto count = reply[0].integer();
                  const int reset =
                      static_cast<int>(std::max<std::int64_t>(reply[1].integer(), 0) / 1000) + 1;
                  then({count <= limit, static_cast<int>(std::max<std::int64_t>(limit - count, 0)), reset});
                });
}

}  // namespace celeriac::http
