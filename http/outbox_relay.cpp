#include "http/outbox_relay.hpp"

#include "protocol/uuid.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

namespace celeriac::http {
namespace {

constexpr int batch = 100;  // rows

}  // namespace

OutboxRelay::OutboxRelay(boost::asio::io_context& io, DatabaseThreads& database, Broker& broker)
    : io_(io), database_(database), broker_(broker), timer_(io), who_("http-" + uuid4()) {}

void OutboxRelay::on_broker(bool connected) {
  connected_ = connected;
  if (connected_) wake();
}

void OutboxRelay::stop() {
  stopping_ = true;
  timer_.cancel();
}

void OutboxRelay::settle(std::function<void()> done) {
  if (!settling_ && sent_.empty()) return done();
  when_settled_ = std::move(done);
  settle_sent();
}

void OutboxRelay::send(const std::vector<Submission>& accepted) {
  for (const auto& one : accepted) publish({one.id, "http", one.task, payload_of(one), 1});
}

void OutboxRelay::wake() {
  if (stopping_) return;
  if (asking_) {
    ask_again_ = true;
    return;
  }
  timer_.expires_after(std::chrono::seconds(2));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) wake();
  });
  settle_sent();
  if (!connected_) return;
  asking_ = true;
  ask_again_ = false;
  const bool taken = database_.run<std::vector<ClaimedEffect>>(
      [who = who_](Database& database) { return claim_http_effects(database, who, batch, lease_seconds); },
      [this](std::vector<ClaimedEffect> rows, const DatabaseError* error) {
        asking_ = false;
        if (error) return spdlog::error("outbox: {}", error->what());
        const bool more = rows.size() == batch || ask_again_;
        for (auto& row : rows) publish(std::move(row));
        if (more) wake();
      });
  if (!taken) asking_ = false;
}

void OutboxRelay::publish(ClaimedEffect effect) {
  const auto failed = [this, id = effect.id](const std::string& why) {
    spdlog::error("outbox {}: {}", id, why);
    (void)database_.run<bool>(
        [id, why](Database& database) {
          mark_failed(database, id, why);
          return true;
        },
        [id](bool, const DatabaseError* error) {
          // Its claim runs out in a minute: it is tried again then.
          if (error) spdlog::error("outbox {}: {}", id, error->what());
        });
  };
  auto message = message_of(effect.payload);
  if (!message) return failed(message.error().what);
  broker_.publish(std::move(*message), [this, failed, id = effect.id](const Status& status) {
    if (!status.ok()) return failed(status.what);
    sent_.push_back(id);
    boost::asio::post(io_, [this] { settle_sent(); });
  });
}

void OutboxRelay::settle_sent() {
  if (settling_ || sent_.empty()) return;
  const auto ids = std::make_shared<std::vector<std::string>>(std::exchange(sent_, {}));
  settling_ = database_.run<bool>(
      [ids](Database& database) {
        mark_sent(database, *ids);
        return true;
      },
      [this, ids](bool, const DatabaseError* error) {
        settling_ = false;
        // Their claims run out in a minute: they are sent once more, under the same ids.
        if (error) spdlog::error("outbox: {} sent tasks cannot be told so: {}", ids->size(), error->what());
        if (sent_.empty() && when_settled_) return std::exchange(when_settled_, nullptr)();
        settle_sent();
      });
  if (!settling_) sent_ = std::move(*ids);  // the next relay tries again
}

}  // namespace celeriac::http
