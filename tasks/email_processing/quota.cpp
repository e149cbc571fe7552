#include "tasks/email_processing/quota.hpp"

#include <algorithm>

namespace celeriac {
namespace {

// A bucket that fills at `rate` a second up to `rate`. Returns 0, the milliseconds to wait, or -1 for a used
// up day. KEYS: bucket, day, pause. ARGV: units, rate, units a day.
constexpr const char* take_script = R"lua(
local paused = redis.call('PTTL', KEYS[3])
if paused > 0 then return paused end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local units, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local state = redis.call('HMGET', KEYS[1], 'left', 'at')
local left, at = tonumber(state[1]) or rate, tonumber(state[2]) or now
left = math.min(rate, left + math.max(0, now - at) * rate / 1000)
if left < units then return math.max(1, math.ceil((units - left) * 1000 / rate)) end
if (tonumber(redis.call('GET', KEYS[2])) or 0) + units > tonumber(ARGV[3]) then return -1 end
redis.call('HSET', KEYS[1], 'left', tostring(left - units), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], 10000)
redis.call('INCRBY', KEYS[2], units)
redis.call('EXPIRE', KEYS[2], 172800)
return 0
)lua";

// KEYS: leases. ARGV: name, most, seconds.
constexpr const char* connect_script = R"lua(
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[3]))
return 1
)lua";

std::string key(const std::string& what, const std::string& user) {
  return "celeriac:email:" + what + (user.empty() ? "" : ":" + user);
}

std::string today() {
  const auto days = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  return std::to_string(days.time_since_epoch().count());
}

RedisConnection connection(const std::string& url) try {
  return RedisConnection(url);
} catch (const std::invalid_argument& error) {
  throw EmailError(
      EmailFailureKind::not_configured,
      std::string("email_quota_url: Gmail's quota is counted there for all workers; it ") + error.what());
}

}  // namespace

QuotaLedger::QuotaLedger(const std::string& url, QuotaLimits limits)
    : limits_(limits), redis_(connection(url)) {}

RedisReply QuotaLedger::run(const std::vector<std::string>& command) try {
  return redis_.run(command);
} catch (const RedisAway& away) {
  throw EmailError(EmailFailureKind::unavailable, away.what());
}

std::optional<std::chrono::milliseconds> QuotaLedger::take(const std::string& user, int units) {
  const long long wait =
      run({"EVAL", take_script, "3", key("bucket", user), key("day", today()), key("pause", user),
           std::to_string(std::min(units, limits_.units_per_second)),
           std::to_string(limits_.units_per_second), std::to_string(limits_.units_per_day)})
          .number;
  if (wait == 0) return std::nullopt;
  if (wait > 0) return std::chrono::milliseconds(wait);
  EmailError error(EmailFailureKind::rate_limited, "the day's quota of Gmail is used up");
  error.retry_after = std::chrono::hours(1);
  throw error;
}

void QuotaLedger::pause(const std::string& user, std::chrono::milliseconds time) {
  run({"SET", key("pause", user), "1", "PX", std::to_string(std::max<long long>(1, time.count()))});
}

bool QuotaLedger::connect(const std::string& user, const std::string& name) {
  return run({"EVAL", connect_script, "1", key("connections", user), name,
              std::to_string(limits_.connections), std::to_string(limits_.lease.count())})
             .number == 1;
}

void QuotaLedger::disconnect(const std::string& user, const std::string& name) {
  run({"ZREM", key("connections", user), name});
}

std::optional<std::string> QuotaLedger::recall(const std::string& name) {
  const RedisReply reply = run({"GET", key("kept", name)});
  if (reply.kind != RedisReply::Kind::text) return std::nullopt;
  return reply.text;
}

void QuotaLedger::remember(const std::string& name, const std::string& value, std::chrono::seconds expires) {
  run({"SET", key("kept", name), value, "EX", std::to_string(expires.count())});
}

}  // namespace celeriac
