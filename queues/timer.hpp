// A timer whose function is not run after its owner, the timer or the wait has gone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace celeriac {

class Timer {
 public:
  explicit Timer(boost::asio::io_context& io) : timer_(io) {}

  // Replaces what was set before.
  void after(std::chrono::milliseconds wait, std::function<void()> run) {
    cancel();
    run_ = std::make_shared<std::function<void()>>(std::move(run));
    timer_.expires_after(wait);
    timer_.async_wait([weak = std::weak_ptr(run_)](boost::system::error_code ec) {
      auto alive = weak.lock();
      if (ec || !alive) return;
      auto now = std::exchange(*alive, nullptr);
      if (now) now();
    });
  }
  void cancel() {
    if (run_) *run_ = nullptr;
    run_.reset();
    timer_.cancel();
  }
  bool waiting() const { return run_ && *run_; }

 private:
  boost::asio::steady_timer timer_;
  std::shared_ptr<std::function<void()>> run_;
};

}  // namespace celeriac
