// One reader's text/event-stream: what is told in a room, until the final event.
#pragma once

#include "http/exchange.hpp"
#include "http/rooms.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

namespace celeriac::http {

class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  // `held` is let go when it is over.
  EventStream(boost::asio::io_context& io, std::shared_ptr<Stream> stream, std::shared_ptr<void> held)
      : timer_(io), stream_(std::move(stream)), held_(std::move(held)) {}

  // `seen`: the Last-Event-ID. Lives until the reader has gone or the final event was told.
  void begin(Rooms& rooms, const std::string& room, Rooms::Source source, const std::string& seen);

 private:
  void tell(const RoomEvent& event);
  void keep_open();

  boost::asio::steady_timer timer_;
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<void> held_;
  std::shared_ptr<Listening> listening_;
  std::string seen_;
};

// The lines of one event. `data` is one line.
std::string event_text(std::string_view event, std::string_view id, std::string_view data);

}  // namespace celeriac::http
