#include "worker/prefetch.hpp"

#include <algorithm>

namespace celeriac {
namespace {

constexpr double held_work = 0.030;    // seconds of work a grown window may hold, per slot
constexpr double pooled_work = 0.004;  // seconds of work that may wait inside the pool, per slot
constexpr double least_cost = 20e-6;   // what the cheapest run costs beside its body
constexpr unsigned max_window = 1024;
constexpr unsigned max_lookahead = 256;
constexpr double keep_of_mean = 0.75;  // weight of the past when runs get quicker

}  // namespace

Prefetch::Prefetch(Options options) : options_(options) {
  options_.concurrency = std::max(1u, options_.concurrency);
  window_ = plain_window();
}

unsigned Prefetch::plain_window() const {
  return options_.concurrency * static_cast<unsigned>(std::max(0, options_.multiplier));
}

unsigned Prefetch::lookahead() const {
  if (options_.fair || mean_ < 0) return 0;
  const double jobs = options_.concurrency * pooled_work / std::max(mean_, least_cost);
  return jobs < 1 ? 0 : static_cast<unsigned>(std::min<double>(jobs, max_lookahead));
}

bool Prefetch::on_finished(std::size_t count, double seconds) {
  if (count == 0) return false;
  const double sample = seconds / static_cast<double>(count);
  mean_ = sample >= mean_ ? sample : keep_of_mean * mean_ + (1 - keep_of_mean) * sample;
  return update();
}

bool Prefetch::on_busy(double seconds) {
  if (seconds <= mean_ || mean_ < 0) return false;
  mean_ = seconds;
  return update();
}

bool Prefetch::resize(unsigned concurrency) {
  options_.concurrency = std::max(1u, concurrency);
  const unsigned old = window_;
  window_ = std::min(window_, plain_window());
  update();
  return window_ != old;
}

bool Prefetch::update() {
  const unsigned plain = plain_window();
  const unsigned old = window_;
  if (options_.strict || plain == 0 || mean_ < 0) {
    window_ = plain;
  } else {
    const double fits = options_.concurrency * held_work / std::max(mean_, least_cost);
    const auto target = std::max(plain, static_cast<unsigned>(std::min<double>(fits, max_window)));
    // Doubling lets a wrong guess cost little; shrinking is immediate.
    window_ = std::min(target, std::max(plain, 2 * old));
  }
  return window_ != old;
}

bool Prefetch::eta_full(std::size_t deferred) const {
  return options_.eta_task_limit &&
         deferred >= static_cast<std::size_t>(std::max(0, *options_.eta_task_limit));
}

}  // namespace celeriac
