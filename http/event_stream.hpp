// One reader's text/event-stream: the state of a thing, told anew whenever it has changed, until it is final.
#pragma once

#include "http/exchange.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace celeriac::http {

class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  // Asks for the state; nothing when it cannot be told now.
  using Source = std::function<void(std::function<void(std::optional<Json>, bool final)>)>;

  // `seen`: the Last-Event-ID; a state that the reader has seen is not sent again.
  EventStream(boost::asio::io_context& io, std::shared_ptr<Stream> stream, Source source, std::string seen,
              std::function<void()> on_end)
      : timer_(io),
        stream_(std::move(stream)),
        source_(std::move(source)),
        seen_(std::move(seen)),
        on_end_(std::move(on_end)) {}

  // Looks once a second, as long as the reader is there.
  void begin() { look(); }

 private:
  void look();
  void tell(const std::optional<Json>& state, bool final);

  boost::asio::steady_timer timer_;
  std::shared_ptr<Stream> stream_;
  Source source_;
  std::string seen_, state_;
  std::function<void()> on_end_;
  int silent_ = 0;  // looks since something was sent
};

// The lines of one event. `data` is one line.
std::string event_text(std::string_view event, std::string_view id, std::string_view data);

}  // namespace celeriac::http
