#include "queues/redis/result_watcher.hpp"

#include "protocol/result.hpp"

namespace celeriac::redis {
namespace {

bool ready(const Json& meta) {
  auto status = meta.is_object() ? meta.find("status") : meta.end();
  return status != meta.end() && status->is_string() && is_ready(status->get_ref<const std::string&>());
}

}  // namespace

ResultWatcher::ResultWatcher(boost::asio::io_context& io, ConnectionOptions options, Fetch fetch)
    : io_(io), options_(std::move(options)), fetch_(std::move(fetch)) {}

void ResultWatcher::wait(std::string key, std::chrono::milliseconds timeout, Done done) {
  auto waiter = std::make_unique<Waiter>(io_, std::move(done));
  Waiter* mine = waiter.get();
  mine->timer.after(timeout, [this, key, mine] {
    auto [first, last] = waiters_.equal_range(key);
    for (auto it = first; it != last; ++it) {
      if (it->second.get() != mine) continue;
      auto expired = std::move(it->second);
      waiters_.erase(it);
      if (!waiters_.contains(key) && connection_->ready())
        connection_->subscribe(Request().add("UNSUBSCRIBE", key));
      return expired->done(unexpected(key + ": not ready in time"));
    }
  });
  waiters_.emplace(key, std::move(waiter));
  if (!connection_) return connect();
  if (connection_->ready()) subscribe({key});
}

void ResultWatcher::connect() {
  connection_ = std::make_unique<Connection>(io_, options_);
  Connection::Handlers handlers;
  handlers.on_up = [this] {
    std::vector<std::string> keys;
    for (auto it = waiters_.begin(); it != waiters_.end(); it = waiters_.upper_bound(it->first))
      keys.push_back(it->first);
    subscribe(keys);
  };
  handlers.on_push = [this](Reply push) { received(push); };
  connection_->start(std::move(handlers));
}

void ResultWatcher::subscribe(const std::vector<std::string>& keys) {
  if (keys.empty()) return;
  Request request;
  request.begin(1 + keys.size()).arg("SUBSCRIBE");
  for (auto& key : keys) request.arg(key);
  connection_->subscribe(request);
}

void ResultWatcher::received(Reply push) {
  if (push.size() < 3) return;
  const std::string kind(push[0].text()), key(push[1].text());
  if (kind == "subscribe") return look(key);
  if (kind != "message") return;
  auto meta = read_result(push[2].text());
  if (meta && ready(*meta)) found(key, std::move(*meta));
}

void ResultWatcher::look(const std::string& key) {
  fetch_(key, [this, key, alive = std::weak_ptr(alive_)](Expected<std::optional<Json>> meta) {
    if (alive.expired()) return;
    if (!meta) return found(key, tl::unexpected(meta.error()));
    if (*meta && ready(**meta)) found(key, std::move(**meta));
  });
}

void ResultWatcher::found(const std::string& key, const Expected<Json>& meta) {
  std::vector<std::unique_ptr<Waiter>> served;
  auto [first, last] = waiters_.equal_range(key);
  for (auto it = first; it != last; ++it) served.push_back(std::move(it->second));
  waiters_.erase(first, last);
  if (served.empty()) return;
  if (connection_->ready()) connection_->subscribe(Request().add("UNSUBSCRIBE", key));
  for (auto& waiter : served) waiter->done(meta);
}

void ResultWatcher::close() {
  alive_.reset();
  waiters_.clear();
  connection_.reset();
}

}  // namespace celeriac::redis
