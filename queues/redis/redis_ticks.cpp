#include "queues/redis/redis_ticks.hpp"

#include "protocol/envelope.hpp"
#include "queues/redis/keys.hpp"
#include "queues/redis/outbox.hpp"
#include "queues/redis/scripts.hpp"

#include <boost/asio/post.hpp>

namespace celeriac::redis {
namespace {

class RedisTicks final : public TickLedger {
 public:
  RedisTicks(boost::asio::io_context& io, TicksOptions options)
      : io_(io),
        options_(std::move(options)),
        keys_(options_.redis),
        key_(keys_.beat(options_.schedule)),
        connection_(io, options_.connection),
        outbox_(connection_) {}

  void start(std::function<void(BrokerState, std::string)> on_state) override {
    on_state_ = std::move(on_state);
    Connection::Handlers handlers;
    handlers.on_up = [this] {
      connection_.send(scripts().load(), nullptr);
      outbox_.resend();
      on_state_(BrokerState::connected, {});
    };
    handlers.on_down = [this](std::string why) { on_state_(BrokerState::lost, std::move(why)); };
    handlers.on_failed = [this](std::string why) {
      outbox_.give_up();
      on_state_(BrokerState::failed, std::move(why));
    };
    connection_.start(std::move(handlers));
  }

  void read(OnRecords done) override { enroll({}, {}, std::move(done)); }

  void enroll(std::vector<std::string> names, TickRecord fresh, OnRecords done) override {
    Request request;
    request.add("MULTI");
    for (const auto& name : names) request.add("HSETNX", key_, name, fresh.text());
    request.add("HGETALL", key_).add("EXEC");
    outbox_.send(std::move(request), [this, done = std::move(done)](Reply reply) {
      if (!reply.is_array() || reply.size() == 0) return done(unexpected(key_ + ": " + reply.problem()));
      const Reply all = reply[reply.size() - 1];
      if (!all.is_array()) return done(unexpected(key_ + ": " + all.problem()));
      TickRecords records;
      for (std::size_t i = 0; i + 1 < all.size(); i += 2) {
        auto record = TickRecord::read(all[i + 1].text());
        if (!record) {
          return done(unexpected("Redis hash " + key_ + ", field " + std::string(all[i].text()) + ": " +
                                 record.error().what + "; HDEL it"));
        }
        records.emplace(all[i].text(), std::move(*record));
      }
      done(std::move(records));
    });
  }

  void commit(std::string name, TickRecord seen, TickRecord next, Message message,
              std::function<void(Expected<bool>)> done) override {
    Request request;
    const int priority = message.properties.priority.value_or(0);
    request.add("EVALSHA", scripts().tick.sha, 2, key_,
                keys_.list_for_priority(message.properties.routing_key, priority), name, seen.text(),
                next.text(), encode_envelope(message));
    outbox_.send(std::move(request), [done = std::move(done)](Reply reply) {
      if (!reply.is_integer()) return done(unexpected(reply.problem()));
      done(reply.integer() == 1);
    });
  }

  void stop(std::function<void()> done) override {
    const auto end = [this, done = std::move(done)] {
      connection_.close();
      boost::asio::post(io_, done);
    };
    // Without a connection nothing can be waited for; what was not sent is due again after the next start.
    if (!connection_.ready()) return end();
    outbox_.when_done(end);
  }

  std::string display() const override { return options_.display_url + " " + key_; }

 private:
  boost::asio::io_context& io_;
  const TicksOptions options_;
  const Keys keys_;
  const std::string key_;
  Connection connection_;
  Outbox outbox_;
  std::function<void(BrokerState, std::string)> on_state_;
};

}  // namespace

std::unique_ptr<TickLedger> make_redis_ticks(boost::asio::io_context& io, TicksOptions options) {
  return std::make_unique<RedisTicks>(io, std::move(options));
}

}  // namespace celeriac::redis
