// Pages do not wait for ever: an answer comes once, in time or as an error.
#pragma once

#include "protocol/error.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace celeriac::http {

inline constexpr const char* broker_late = "The broker does not answer.";

template <class T>
using Then = std::function<void(const Expected<T>&)>;

// What is to be called with the answer. `then` gets it, or `late` as an error after two seconds; whatever
// comes afterwards is dropped.
template <class T>
std::function<void(Expected<T>)> in_time(boost::asio::io_context& io, std::string late, Then<T> then) {
  struct Pending {
    explicit Pending(boost::asio::io_context& loop) : timer(loop) {}
    boost::asio::steady_timer timer;
    Then<T> then;
  };
  const auto pending = std::make_shared<Pending>(io);
  pending->then = std::move(then);
  pending->timer.expires_after(std::chrono::seconds(2));
  const auto finish = [pending](const Expected<T>& value) {
    const auto answer = std::exchange(pending->then, nullptr);
    if (!answer) return;
    pending->timer.cancel();
    answer(value);
  };
  pending->timer.async_wait([finish, late = std::move(late)](const boost::system::error_code& error) {
    if (!error) finish(unexpected(late));
  });
  return finish;
}

}  // namespace celeriac::http
