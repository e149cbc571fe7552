// The one place that changes how many slots the pool has, by hand or by --autoscale.
#pragma once

#include "worker/autoscaler.hpp"
#include "worker/consumer.hpp"
#include "worker/pool.hpp"

#include <optional>

namespace celeriac {

class PoolSize {
 public:
  PoolSize(Pool& pool, Consumer& consumer, std::optional<Autoscaler> autoscaler)
      : pool_(pool), consumer_(consumer), autoscaler_(autoscaler) {}

  const std::optional<Autoscaler>& autoscaler() const { return autoscaler_; }
  // Follows the work; call when messages came and a few times a second. Without --autoscale nothing happens.
  void follow(double now);
  void set_bounds(unsigned max, unsigned min, double now);  // only with --autoscale
  void grow(unsigned n);
  void shrink(unsigned n);

 private:
  void change(int by);

  Pool& pool_;
  Consumer& consumer_;
  std::optional<Autoscaler> autoscaler_;
};

}  // namespace celeriac
