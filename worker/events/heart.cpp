#include "worker/events/heart.hpp"

#include "config/version.hpp"
#include "protocol/json.hpp"
#include "protocol/time.hpp"

#include <cmath>
#include <cstdlib>

namespace celeriac {
namespace {

constexpr double interval_when_asked = 5;  // seconds, Celery's

std::string load_averages() {
  double averages[3] = {0, 0, 0};
  if (::getloadavg(averages, 3) != 3) averages[0] = averages[1] = averages[2] = 0;
  std::string text = "[";
  for (int i = 0; i < 3; ++i) {
    if (i > 0) text += ", ";
    text += python_float(std::round(averages[i] * 100) / 100);
  }
  return text + "]";
}

}  // namespace

EventFields worker_fields(double interval, const NodeLoad* load) {
  EventFields fields;
  if (load) {
    fields.number("freq", interval)
        .integer("active", static_cast<std::int64_t>(load->active))
        .integer("processed", static_cast<std::int64_t>(load->processed))
        .json("loadavg", load_averages());
  } else {
    fields.integer("freq", static_cast<std::int64_t>(interval));
  }
  fields.text("sw_ident", "celeriac").text("sw_ver", version()).text("sw_sys", "Linux");
  return fields;
}

Heart::Heart(boost::asio::io_context& io, EventDispatcher& events, double interval,
             std::function<NodeLoad()> load)
    : events_(events), interval_(interval), load_(std::move(load)), timer_(io) {}

void Heart::start() {
  beating_ = true;
  send("worker-online");
  wait();
}

void Heart::stop() {
  timer_.cancel();
  if (std::exchange(beating_, false)) send("worker-offline");
}

void Heart::beat_once() {
  events_.worker("worker-heartbeat", worker_fields(interval_when_asked, nullptr), unix_now());
}

void Heart::send(std::string_view type) {
  const NodeLoad load = load_();
  events_.worker(type, worker_fields(interval_, &load), unix_now());
}

void Heart::wait() {
  timer_.expires_after(std::chrono::milliseconds(static_cast<std::int64_t>(interval_ * 1000)));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || !beating_) return;
    send("worker-heartbeat");
    wait();
  });
}

}  // namespace celeriac
