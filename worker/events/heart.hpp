// The worker's own events: online, a heartbeat at an interval, offline. Monitors take a node for gone when
// two intervals pass without one.
#pragma once

#include "worker/events/event_dispatcher.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

namespace celeriac {

struct NodeLoad {
  std::size_t active = 0;       // tasks that run
  std::uint64_t processed = 0;  // begun since the start
};

// `load` null: only what the software is, as Celery answers the heartbeat command.
EventFields worker_fields(double interval, const NodeLoad* load);

class Heart {
 public:
  // `interval` in seconds.
  Heart(boost::asio::io_context& io, EventDispatcher& events, double interval,
        std::function<NodeLoad()> load);

  void start();      // also after a reconnect
  void stop();       // says goodbye
  void beat_once();  // freq 5, no load

 private:
  void send(std::string_view type);
  void wait();

  EventDispatcher& events_;
  double interval_;
  std::function<NodeLoad()> load_;
  boost::asio::steady_timer timer_;
  bool beating_ = false;
};

}  // namespace celeriac
