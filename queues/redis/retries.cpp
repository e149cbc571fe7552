#include "queues/redis/retries.hpp"

#include <spdlog/spdlog.h>
#include <utility>

namespace celeriac::redis {
namespace {

constexpr std::chrono::milliseconds pause{1000};
constexpr std::chrono::seconds log_interval{30};

}  // namespace

bool Retries::add(std::string_view what, std::string_view error, std::size_t bytes,
                  std::function<void()> again) {
  const auto time = std::chrono::steady_clock::now();
  if (last_told_.time_since_epoch().count() == 0 || time - last_told_ > log_interval) {
    last_told_ = time;
    spdlog::error("Redis refuses to {}, trying again every second: {}", what, error);
  }
  if (bytes_ + bytes > most_bytes) {
    spdlog::error("Too much was refused by Redis: gave up to {}; the message may run again", what);
    return false;
  }
  bytes_ += bytes;
  waiting_.push_back({bytes, std::move(again)});
  if (!timer_.waiting()) timer_.after(pause, [this] { now(); });
  return true;
}

void Retries::now() {
  timer_.cancel();
  auto items = std::exchange(waiting_, {});
  bytes_ = 0;
  for (auto& item : items) item.again();
}

void Retries::cancel() {
  timer_.cancel();
  waiting_.clear();
  bytes_ = 0;
}

}  // namespace celeriac::redis
