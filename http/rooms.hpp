// Rooms: what becomes of one thing (a document, a task), told in order to everybody who listens. However many
// listen, its state is asked for once a second.
//
// An event's id is made of what it tells, so a listener who comes back, also to another process or after a
// restart, says what was seen last and gets what followed: all of it while the room remembers, else how
// things stand.
#pragma once

#include "protocol/json.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace celeriac::http {

struct RoomEvent {
  std::string id;    // 16 hex digits
  std::string kind;  // "state" when the state's name changed, else "progress"
  std::string data;  // the whole state, one line of JSON
  bool final = false;
};

class Room;

// A listener's place in a room; leaving is dropping it.
class Listening {
 public:
  ~Listening();

 private:
  friend class Rooms;
  friend class Room;
  std::shared_ptr<Room> room_;
  std::function<void(const std::shared_ptr<const RoomEvent>&)> on_event_;
};

class Rooms {
 public:
  // Asks for the state; nothing when it cannot be told now.
  using Source = std::function<void(std::function<void(std::optional<Json>, bool final)>)>;
  using OnEvent = std::function<void(const std::shared_ptr<const RoomEvent>&)>;

  static constexpr std::size_t most_events = 64;  // that a room remembers

  explicit Rooms(boost::asio::io_context& io) : io_(io) {}

  // `source` is used when nobody is in the room yet. `seen`: the id of the last event seen, or "". What
  // followed it is told first; the final event is told even when it is the one that was seen.
  // `on_event` is never called from here, and may leave the room.
  std::shared_ptr<Listening> join(const std::string& name, Source source, std::string seen, OnEvent on_event);
  std::size_t rooms() const { return rooms_.size(); }

 private:
  boost::asio::io_context& io_;
  std::map<std::string, std::weak_ptr<Room>> rooms_;
  std::size_t sweep_at_ = 64;  // rooms; the empty ones among them are forgotten then
};

}  // namespace celeriac::http
