#include "queues/redis/large_claim.hpp"

#include <spdlog/spdlog.h>
#include <algorithm>

namespace celeriac::redis {
namespace {

constexpr unsigned most_attempts = 3;

// The end of the transaction. A failed HSET does not stop the commands after it, hence the look:
// what is not recorded stays in its list. LTRIM first, see the claim script about memory.
constexpr std::string_view trim_source = R"lua(
if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 0 then return 0 end
redis.call('LTRIM', KEYS[3], 0, ARGV[1])
for i = 3, #ARGV do redis.call('ZADD', KEYS[2], ARGV[2], ARGV[i]) end
return 1
)lua";

ConnectionOptions for_ever(ConnectionOptions options) {
  options.max_retries = 0;  // giving up is decided by the command connection alone
  return options;
}

}  // namespace

LargeClaim::LargeClaim(boost::asio::io_context& io, ConnectionOptions options, const Keys& keys,
                       const Holdings& holdings)
    : connection_(io, for_ever(std::move(options))), keys_(keys), holdings_(holdings) {}

void LargeClaim::start() {
  if (started_) return;
  started_ = true;
  Connection::Handlers handlers;
  handlers.on_failed = [](std::string why) {
    spdlog::warn("Large messages go the slow way, no second connection to Redis: {}", why);
  };
  connection_.start(std::move(handlers));
}

void LargeClaim::claim(Order order, Handlers handlers) {
  order_ = std::move(order);
  handlers_ = std::move(handlers);
  attempts_left_ = most_attempts;
  attempt();
}

void LargeClaim::attempt() {
  --attempts_left_;
  answers_ = 0;
  Request request;
  request.add("WATCH", order_.list, order_.lease);
  request.add("EXISTS", order_.lease);
  request.add("LRANGE", order_.list, -static_cast<std::int64_t>(order_.count), -1);
  connection_.send(std::move(request), [this](Reply reply) { read(reply); });
}

void LargeClaim::read(Reply answer) {
  ++answers_;
  if (answers_ == 2) lease_held_ = answer.integer() == 1;
  if (answers_ < 3) return;
  if (answer.lost()) return finish(Outcome::nothing);
  if (lease_held_ && answer.size() > 0) return record(answer);
  connection_.send({"UNWATCH"}, nullptr);
  finish(lease_held_ ? Outcome::nothing : Outcome::no_lease);
}

void LargeClaim::record(Reply bodies) {
  taken_ = static_cast<unsigned>(bodies.size());
  std::size_t bytes = 0, objects = 0;
  for (unsigned i = 0; i < taken_; ++i) {
    bytes += bodies[i].text().size() + 128;
    objects += looks_like_object(bodies[i].text());
  }
  Request request;
  request.reserve(bytes + 1024);
  request.add("MULTI");
  request.begin(2 + std::size_t{2} * taken_).arg("HSET").arg(keys_.unacked);
  for (unsigned i = 0; i < taken_; ++i) {
    const auto raw = bodies[taken_ - 1 - i].text();  // the oldest is the last
    request.arg(holdings_.field(order_.first + i));
    request.arg({"[", looks_like_object(raw) ? raw : std::string_view("null"), order_.tail});
  }
  if (objects < taken_) {
    request.begin(2 + 2 * (taken_ - objects)).arg("HSET").arg(keys_.unreadable);
    for (unsigned i = 0; i < taken_; ++i) {
      const auto raw = bodies[taken_ - 1 - i].text();
      if (!looks_like_object(raw)) request.arg(holdings_.field(order_.first + i)).arg(raw);
    }
  }
  request.begin(8 + std::size_t{taken_}).arg("EVAL").arg(trim_source).arg(3);
  request.arg(keys_.unacked).arg(keys_.unacked_index).arg(order_.list);
  request.arg(-static_cast<std::int64_t>(taken_) - 1).arg(score_text(Clock::now()));
  for (unsigned i = 0; i < taken_; ++i) request.arg(holdings_.field(order_.first + i));
  request.add("EXEC");
  answers_ = 0;
  const auto commands = static_cast<unsigned>(request.commands());
  connection_.send(std::move(request),
                   [this, commands](Reply reply) { recorded(reply, ++answers_ == commands); });
  for (unsigned i = 0; i < taken_; ++i) {
    const auto raw = bodies[taken_ - 1 - i].text();
    handlers_.on_read(order_.first + i, raw, looks_like_object(raw));
  }
}

void LargeClaim::recorded(Reply answer, bool last) {
  if (!last) return;  // QUEUED, or refused: EXEC says it again
  if (answer.lost()) return finish(Outcome::unknown);
  if (answer.is_error()) {
    // Out of memory, for one. The script still gets messages out then.
    spdlog::warn("Redis refuses a claim of large messages: {}", answer.text());
    return finish(Outcome::nothing);
  }
  if (answer.size() > 0) {
    if (answer[answer.size() - 1].integer() == 1) return finish(Outcome::taken);
    spdlog::error("Redis cannot record large messages: {}", answer[0].problem());
    undo();
    return finish(Outcome::nothing);
  }
  if (attempts_left_ == 0) return finish(Outcome::nothing);
  handlers_.on_restart();
  order_.count = std::max(1u, order_.count / 4);  // the less is read, the sooner it is recorded
  attempt();
}

// Nothing left the list: what was recorded must go, or it would be delivered twice.
void LargeClaim::undo() {
  Request request;
  for (auto* key : {&keys_.unacked, &keys_.unreadable}) {
    request.begin(2 + std::size_t{taken_}).arg("HDEL").arg(*key);
    for (unsigned i = 0; i < taken_; ++i) request.arg(holdings_.field(order_.first + i));
  }
  connection_.send(std::move(request), nullptr);
}

void LargeClaim::finish(Outcome outcome) {
  auto handlers = std::move(handlers_);
  handlers_ = {};
  handlers.done(outcome);
}

}  // namespace celeriac::redis
