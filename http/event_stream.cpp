#include "http/event_stream.hpp"

#include "http/authenticator.hpp"

namespace celeriac::http {
namespace {

constexpr std::chrono::seconds interval{1};
constexpr int heartbeat = 15;  // looks without news until proxies are told that we are there

}  // namespace

std::string event_text(std::string_view event, std::string_view id, std::string_view data) {
  std::string out = "event: ";
  out.append(event).append("\nid: ").append(id).append("\ndata: ").append(data).append("\n\n");
  return out;
}

void EventStream::look() {
  if (stream_->closed()) return on_end_();
  source_([self = shared_from_this()](const std::optional<Json>& state, bool final) {
    self->tell(state, final);
  });
}

void EventStream::tell(const std::optional<Json>& state, bool final) {
  if (state) {
    const auto data = dump_json(*state);
    const auto id = sha256_hex(data).substr(0, 16);
    const auto name = state->contains("state")    ? state->at("state").dump()
                      : state->contains("status") ? state->at("status").dump()
                                                  : std::string();
    if (id != seen_) {
      stream_->send(event_text(name == state_ ? "progress" : "state", id, data));
      silent_ = 0;
    }
    seen_ = id;
    state_ = name;
    if (final) {
      stream_->end();
      return on_end_();
    }
  }
  if (++silent_ >= heartbeat) {
    stream_->send(": still here\n\n");
    silent_ = 0;
  }
  timer_.expires_after(interval);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->look();
  });
}

}  // namespace celeriac::http
