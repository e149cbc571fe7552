#include "http/rooms.hpp"

#include "http/exchange.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <set>
#include <vector>

namespace celeriac::http {
namespace {

constexpr std::chrono::seconds interval{1};

std::string name_of(const Json& state) {
  for (const char* member : {"state", "status"})
    if (const auto found = state.find(member); found != state.end() && found->is_string())
      return found->get<std::string>();
  return {};
}

}  // namespace

class Room : public std::enable_shared_from_this<Room> {
 public:
  Room(boost::asio::io_context& io, Rooms::Source source) : timer_(io), source_(std::move(source)) {}

  void enter(Listening* listener, const std::string& seen) {
    listeners_.insert(listener);
    if (events_.empty()) return look();
    for (const auto& event : since(seen)) {
      listener->on_event_(event);
      if (!listeners_.contains(listener)) return;
    }
  }
  void leave(Listening* listener) { listeners_.erase(listener); }

  void look() {
    if (asking_ || over_) return;
    asking_ = true;
    source_([self = weak_from_this()](const std::optional<Json>& state, bool final) {
      if (const auto room = self.lock()) room->tell(state, final);
    });
  }

 private:
  // What followed `seen`, as far as it is remembered; the last event when it is final.
  std::vector<std::shared_ptr<const RoomEvent>> since(const std::string& seen) const {
    const auto at =
        std::find_if(events_.begin(), events_.end(), [&](const auto& event) { return event->id == seen; });
    if (at != events_.end() && (!over_ || std::next(at) != events_.end()))
      return {std::next(at), events_.end()};
    return {events_.back()};
  }

  void tell(const std::optional<Json>& state, bool final) {
    asking_ = false;
    if (state) {
      auto data = dump_json(*state);
      auto id = sha256_hex(data).substr(0, 16);
      if (events_.empty() || events_.back()->id != id) {
        auto name = name_of(*state);
        const auto event = std::make_shared<RoomEvent>();
        event->id = std::move(id);
        event->kind = name == name_ && !events_.empty() ? "progress" : "state";
        event->data = std::move(data);
        event->final = final;
        name_ = std::move(name);
        events_.push_back(event);
        if (events_.size() > Rooms::most_events) events_.pop_front();
        const auto listeners = listeners_;  // being told, one may leave
        const std::shared_ptr<const RoomEvent> told = event;
        for (auto* listener : listeners)
          if (listeners_.contains(listener)) listener->on_event_(told);
      }
      over_ = final;
    }
    if (over_) return;
    timer_.expires_after(interval);
    timer_.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
      const auto room = self.lock();
      if (!error && room) room->look();
    });
  }

  boost::asio::steady_timer timer_;
  Rooms::Source source_;
  std::set<Listening*> listeners_;
  std::deque<std::shared_ptr<const RoomEvent>> events_;
  std::string name_;
  bool asking_ = false, over_ = false;
};

Listening::~Listening() {
  if (room_) room_->leave(this);
}

std::shared_ptr<Listening> Rooms::join(const std::string& name, Source source, std::string seen,
                                       OnEvent on_event) {
  if (rooms_.size() >= sweep_at_) {
    std::erase_if(rooms_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = 64 + 2 * rooms_.size();
  }
  auto room = rooms_[name].lock();
  if (!room) {
    room = std::make_shared<Room>(io_, std::move(source));
    rooms_[name] = room;
  }
  auto listening = std::make_shared<Listening>();
  listening->room_ = room;
  listening->on_event_ = std::move(on_event);
  boost::asio::post(io_, [weak = std::weak_ptr<Listening>(listening), seen = std::move(seen)] {
    if (const auto here = weak.lock()) here->room_->enter(here.get(), seen);
  });
  return listening;
}

}  // namespace celeriac::http
