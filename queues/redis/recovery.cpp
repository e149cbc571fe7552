#include "queues/redis/recovery.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "queues/redis/scripts.hpp"

#include <algorithm>
#include <charconv>

namespace celeriac::redis {

// The numbers of a dead owner's fields, gathered before the first is given back: ZSCAN
// has no order, the queue has.
struct DeadOwner {
  std::string name;
  std::string cursor = "0";
  std::vector<std::uint64_t> numbers;
};

Recovery::Recovery(boost::asio::io_context& io, Connection& connection, Outbox& outbox, Restorer& restorer,
                   const Keys& keys, RecoveryOptions options, Handlers handlers)
    : connection_(connection),
      outbox_(outbox),
      restorer_(restorer),
      keys_(keys),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      renew_timer_(io),
      sweep_timer_(io) {}

void Recovery::connected() {
  renew();
  schedule();
  sweep_timer_.after(std::chrono::milliseconds(100), [this] { sweep(); });
}

void Recovery::disconnected() {
  renew_timer_.cancel();
  sweep_timer_.cancel();
  sweeping_ = false;
}

// A third of the lease would do for ourselves; a fifth also finds the dead within 1.2 leases.
void Recovery::schedule() {
  if (resigned_) return;
  renew_timer_.after(to_milliseconds(options_.lease / 5), [this] {
    renew();
    schedule();
  });
}

void Recovery::renew() {
  if (resigned_) return;
  Request request;
  request.add("EVALSHA", scripts().heartbeat.sha, 3, keys_.lease(options_.owner), keys_.owners,
              keys_.taken(options_.owner), options_.owner, to_milliseconds(options_.lease).count(),
              keys_.lease_prefix, options_.description);
  connection_.send(request, [this](Reply reply) {
    if (resigned_ || reply.lost()) return;
    if (reply.size() != 3) {
      // After SCRIPT FLUSH; any other error is seen again at the next renewal.
      if (reply.problem().substr(0, 8) == "NOSCRIPT") {
        connection_.send(scripts().load(), nullptr);
        renew();
      }
      return;
    }
    if (handlers_.on_renewed) handlers_.on_renewed(reply[0].integer() != 0, reply[1].integer() != 0);
    const Reply dead = reply[2];
    for (std::size_t i = 0; i < dead.size(); ++i) recover(std::string(dead[i].text()));
  });
}

void Recovery::recover(std::string owner) {
  if (owner.find_first_of("*?[]\\") != owner.npos || !recovering_.insert(owner).second) return;
  auto dead = std::make_shared<DeadOwner>();
  dead->name = std::move(owner);
  scan(std::move(dead));
}

void Recovery::scan(std::shared_ptr<DeadOwner> dead) {
  Request request;
  request.add("ZSCAN", keys_.unacked_index, dead->cursor, "MATCH", dead->name + ":*", "COUNT", 1000);
  outbox_.send(std::move(request), [this, dead](Reply reply) {
    if (reply.size() != 2) {
      recovering_.erase(dead->name);  // tried again at the next renewal
      return;
    }
    const Reply page = reply[1];
    for (std::size_t i = 0; i + 1 < page.size(); i += 2) {
      auto digits = page[i].text().substr(dead->name.size() + 1);
      std::uint64_t number = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
      dead->numbers.push_back(number);
    }
    dead->cursor = reply[0].text();
    if (dead->cursor != "0") return scan(dead);

    // The first claimed is pushed last, so that it is the next to be delivered.
    auto& numbers = dead->numbers;
    std::sort(numbers.begin(), numbers.end(), std::greater<>());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    RestoreOrder order;
    order.unless_leased = dead->name;
    order.fields.reserve(numbers.size());
    for (auto number : numbers) order.fields.push_back(dead->name + ":" + std::to_string(number));
    restorer_.restore(std::move(order), [this, dead](std::size_t restored) {
      Request forget;
      forget.add("EVALSHA", scripts().forget.sha, 2, keys_.lease(dead->name), keys_.owners, dead->name);
      outbox_.send(std::move(forget), [this, dead, restored](Reply) {
        recovering_.erase(dead->name);
        if (handlers_.on_recovered) handlers_.on_recovered(dead->name, restored);
      });
    });
  });
}

void Recovery::sweep() {
  sweep_timer_.after(to_milliseconds(options_.sweep_interval), [this] { sweep(); });
  if (sweeping_ || resigned_) return;
  sweeping_ = true;
  auto token = std::make_shared<std::string>(uuid4());
  Request lock;
  lock.add("SET", keys_.unacked_mutex, *token, "PX", to_milliseconds(options_.mutex_expire).count(), "NX");
  connection_.send(lock, [this, token](Reply reply) {
    if (!reply.ok() || reply.is_nil()) {
      sweeping_ = false;
      return;
    }
    const double limit = unix_now() - options_.visibility_timeout;
    Request old;
    old.add("ZREVRANGEBYSCORE", keys_.unacked_index, std::to_string(limit), "0");
    outbox_.send(std::move(old), [this, token, limit](Reply found) {
      RestoreOrder order;
      order.not_younger = limit;
      for (std::size_t i = 0; i < found.size(); ++i) order.fields.emplace_back(found[i].text());
      restorer_.restore(std::move(order), [this, token](std::size_t restored) {
        Request unlock;
        unlock.add("EVALSHA", scripts().unlock.sha, 1, keys_.unacked_mutex, *token);
        outbox_.send(std::move(unlock), [this, restored](Reply) {
          sweeping_ = false;
          if (restored && handlers_.on_swept) handlers_.on_swept(restored);
        });
      });
    });
  });
}

void Recovery::resign(std::function<void()> done) {
  resigned_ = true;
  renew_timer_.cancel();
  sweep_timer_.cancel();
  Request request;
  request.add("DEL", keys_.lease(options_.owner)).add("SREM", keys_.owners, options_.owner);
  outbox_.send(std::move(request), [done = std::move(done)](Reply) { done(); });
}

}  // namespace celeriac::redis
