#include "tasks/engines/shared_breakers.hpp"

#include "protocol/json.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>

namespace celeriac {
namespace {

using namespace std::chrono_literals;

constexpr auto without_redis = 5s;  // before it is looked for again
constexpr auto kept = 10min;        // what nobody asked about since is forgotten
constexpr int most_attempts = 8;    // of a change that others get ahead of

// Replaces the text that was read; whoever was faster is read again. KEYS: breaker. ARGV: read, new,
// milliseconds.
constexpr const char* replace_script = R"lua(
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
)lua";

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Times are Unix milliseconds there: workers' monotonic clocks have nothing in common.
std::string written(const CircuitBreaker::State& state, std::int64_t now) {
  const auto moment = [now](std::chrono::milliseconds left) {
    return left.count() > 0 ? now + left.count() : 0;
  };
  return dump_json({{"failures", state.failures},
                    {"trials", state.trials},
                    {"open", state.open},
                    {"next_trial", moment(state.next_trial)},
                    {"paused_until", moment(state.pause)}});
}

CircuitBreaker::State read(const std::string& text, std::int64_t now) {
  CircuitBreaker::State state;
  const auto json = parse_json(text);
  if (!json || !json->is_object()) return state;  // nothing is known, or not by us
  const auto number = [&](const char* name) -> std::int64_t {
    const auto found = json->find(name);
    return found != json->end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  };
  const auto left = [&](const char* name) {
    constexpr std::int64_t longest = std::chrono::milliseconds(1h).count();
    return std::chrono::milliseconds(std::clamp<std::int64_t>(number(name) - now, 0, longest));
  };
  state.failures = static_cast<int>(std::clamp<std::int64_t>(number("failures"), 0, 1000));
  state.trials = static_cast<int>(std::clamp<std::int64_t>(number("trials"), 0, 1000));
  state.open = json->value("open", Json(false)) == true;
  state.next_trial = left("next_trial");
  state.pause = left("paused_until");
  return state;
}

}  // namespace

SharedBreakers::SharedBreakers(const std::string& url, CircuitBreaker::Options options) : options_(options) {
  if (!url.empty()) redis_.emplace(url);
}

// Reads, decides, writes back. False: Redis is away, and nothing was decided.
bool SharedBreakers::share(const std::string& server, CircuitBreaker& breaker, const Change& change) {
  const auto begun = std::chrono::steady_clock::now();
  if (!redis_ || begun < redis_again_) return false;
  const std::string key = "celeriac:breaker:" + server;
  try {
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
      const std::string known = redis_->run({"GET", key}).text;
      const auto now = std::chrono::steady_clock::now();
      const auto wall = wall_ms();
      breaker.restore(read(known, wall), now);
      const auto before = breaker.state(now);
      change(breaker, now);
      const auto after = breaker.state(now);
      if (after == before) return true;
      const auto expires = kept + std::max(after.next_trial, after.pause);
      if (redis_
              ->run({"EVAL", replace_script, "1", key, known, written(after, wall),
                     std::to_string(expires / 1ms)})
              .number == 1)
        return true;
    }
    return true;  // decided on the last state that was read; the others wrote theirs
  } catch (const RedisAway& away) {
    spdlog::warn("circuit breakers are this process's own for now: {}", away.what());
    redis_again_ = std::chrono::steady_clock::now() + without_redis;
    return false;
  }
}

void SharedBreakers::apply(const std::string& server, const Change& change) {
  const std::lock_guard lock(mutex_);
  CircuitBreaker& breaker = breakers_.try_emplace(server, options_).first->second;
  const auto now = std::chrono::steady_clock::now();
  const auto before = breaker.state(now);
  if (share(server, breaker, change)) return;
  breaker.restore(before, now);
  change(breaker, now);
}

std::optional<std::chrono::milliseconds> SharedBreakers::wait_before_call(const std::string& server) {
  std::optional<std::chrono::milliseconds> wait;
  apply(server,
        [&](CircuitBreaker& breaker, CircuitBreaker::Time now) { wait = breaker.wait_before_call(now); });
  return wait;
}

void SharedBreakers::succeeded(const std::string& server) {
  apply(server, [](CircuitBreaker& breaker, CircuitBreaker::Time) { breaker.succeeded(); });
}

void SharedBreakers::failed(const std::string& server) {
  apply(server, [](CircuitBreaker& breaker, CircuitBreaker::Time now) { breaker.failed(now); });
}

void SharedBreakers::pause(const std::string& server, std::chrono::milliseconds time) {
  apply(server,
        [time](CircuitBreaker& breaker, CircuitBreaker::Time now) { breaker.pause_until(now + time); });
}

SharedBreakers& shared_breakers(const std::string& url) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<SharedBreakers>> made;
  const std::lock_guard lock(mutex);
  auto& breakers = made[url];
  if (!breakers) breakers = std::make_unique<SharedBreakers>(url);
  return *breakers;
}

}  // namespace celeriac
