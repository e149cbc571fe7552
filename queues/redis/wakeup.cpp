#include "queues/redis/wakeup.hpp"

namespace celeriac::redis {

Wakeup::Wakeup(boost::asio::io_context& io, ConnectionOptions options, Connection& commands,
               std::function<void(std::string_view)> changed)
    : commands_(commands), changed_(std::move(changed)), subscriber_(io, [&] {
        options.max_retries = 0;  // giving up is decided by the command connection alone
        return options;
      }()) {}

void Wakeup::start() {
  Connection::Handlers handlers;
  handlers.on_up = [this] { subscribed(); };
  handlers.on_down = [this](std::string) {
    id_.clear();
    works_ = false;
  };
  handlers.on_failed = [this](std::string why) { refused_ = std::move(why); };
  handlers.on_push = [this](Reply reply) {
    if (reply[0].text() != "message") return;
    const Reply keys = reply[2];
    if (keys.size() == 0) return changed_({});  // FLUSHDB
    for (std::size_t i = 0; i < keys.size(); ++i) changed_(keys[i].text());
  };
  subscriber_.start(std::move(handlers));
}

void Wakeup::subscribed() {
  subscriber_.send({"CLIENT", "ID"}, [this](Reply reply) {
    if (!reply.is_integer()) return;
    id_ = std::to_string(reply.integer());
    Request request;
    request.add("SUBSCRIBE", "__redis__:invalidate");
    subscriber_.subscribe(request);
    track();
  });
}

void Wakeup::commands_up() { track(); }

void Wakeup::commands_down() { works_ = false; }

void Wakeup::track() {
  if (id_.empty() || !commands_.ready()) return;
  commands_.send({"CLIENT", "TRACKING", "ON", "REDIRECT", id_, "NOLOOP"}, [this](Reply reply) {
    works_ = reply.ok();
    refused_ = reply.is_error() ? std::string(reply.text()) : std::string();
    changed_({});  // what was pushed before tracking began is found now
  });
}

}  // namespace celeriac::redis
