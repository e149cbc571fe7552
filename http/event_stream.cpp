#include "http/event_stream.hpp"

namespace celeriac::http {
namespace {

constexpr std::chrono::seconds heartbeat{15};  // proxies are told that we are there

}  // namespace

std::string event_text(std::string_view event, std::string_view id, std::string_view data) {
  std::string out = "event: ";
  out.append(event).append("\nid: ").append(id).append("\ndata: ").append(data).append("\n\n");
  return out;
}

void EventStream::begin(Rooms& rooms, const std::string& room, Rooms::Source source,
                        const std::string& seen) {
  seen_ = seen;
  // The stream holds us, and we hold our place in the room, until it is closed.
  stream_->when_closed([self = shared_from_this()]() mutable {
    self->timer_.cancel();
    self->listening_.reset();
    self->held_.reset();
    self.reset();
  });
  listening_ = rooms.join(room, std::move(source), seen,
                          [self = weak_from_this()](const std::shared_ptr<const RoomEvent>& event) {
                            if (const auto here = self.lock()) here->tell(*event);
                          });
  keep_open();
}

void EventStream::tell(const RoomEvent& event) {
  if (event.id != seen_) stream_->send(event_text(event.kind, event.id, event.data));
  seen_ = event.id;
  if (event.final) stream_->end();
}

void EventStream::keep_open() {
  timer_.expires_after(heartbeat);
  timer_.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
    const auto here = self.lock();
    if (error || !here) return;
    here->stream_->send(": still here\n\n");
    here->keep_open();
  });
}

}  // namespace celeriac::http
