#include "queues/redis/redis_backend.hpp"

#include "queues/redis/connection.hpp"
#include "queues/redis/result_watcher.hpp"
#include "queues/result_keys.hpp"
#include "queues/timer.hpp"

#include <boost/asio/post.hpp>
#include <cmath>
#include <deque>

namespace celeriac {
namespace {

namespace asio = boost::asio;
using redis::Reply;
using redis::Request;

// Stores ARGV[2..] under KEYS[1..] for ARGV[1] seconds (0: for good) and publishes each. The usual case, a
// key that is new, takes two commands. A stored SUCCESS is kept, and told again to whoever missed it; the
// state comes first in Celery's documents, so it is seen without reading them whole. Answers the
// failures, [index, message, ...], and the indexes of what nobody listened to. docs/results.md has the
// measurements behind this shape.
constexpr std::string_view store_script = R"lua(
local ttl, call, failures, unheard = ARGV[1], redis.pcall, {}, {}
local function set(key, meta, ...)
  if ttl == '0' then return call('SET', key, meta, ...) end
  return call('SET', key, meta, 'EX', ttl, ...)
end
for i = 1, #KEYS do
  local key, meta = KEYS[i], ARGV[i + 1]
  local done = set(key, meta, 'NX')
  if not done then
    local old = call('GETRANGE', key, 0, 19)
    if type(old) == 'table' then
      done = old
    elseif string.find(old, '^{"status": ?"SUCCESS"') then
      meta, done = call('GET', key), true
    else
      done = set(key, meta)
    end
  end
  if type(done) == 'table' and done.err then
    failures[#failures + 1] = i
    failures[#failures + 1] = done.err
  elseif call('PUBLISH', key, meta) == 0 then
    unheard[#unheard + 1] = i
  end
end
return {failures, unheard}
)lua";

// Publishes those of KEYS once more that meanwhile have a listener. Celery's clients subscribe without
// waiting for the answer, then look whether the result is there. A busy server can serve the look first, then
// the store with its PUBLISH, then the subscription, and the client would wait for ever. What is asked for
// after the answer to the store comes after that subscription.
constexpr std::string_view tell_again_script = R"lua(
for _, key in ipairs(KEYS) do
  local meta = redis.call('GET', key)
  if meta then redis.call('PUBLISH', key, meta) end
end
)lua";

// Adds the end of a task, ARGV[2], to the parts of a chord, and answers all of them once they are complete:
// {saved group, parts}. A task that ends twice (its message was delivered again) stays one part, and a
// success stays. ARGV: place, part, the part up to its state, life in seconds.
constexpr std::string_view part_script = R"lua(
local j, t, s, known = KEYS[1], KEYS[2], KEYS[3], false
for _, old in ipairs(redis.call('ZRANGEBYSCORE', j, ARGV[1], ARGV[1])) do
  if string.sub(old, 1, #ARGV[3]) == ARGV[3] then
    if string.sub(old, #ARGV[3] + 1, #ARGV[3] + 9) == '"SUCCESS"' then
      known = true
    else
      redis.call('ZREM', j, old)
    end
  end
end
if not known then redis.call('ZADD', j, ARGV[1], ARGV[2]) end
if ARGV[4] ~= '0' then
  for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[4]) end
end
local size = redis.call('GET', s)
if not size then return false end
if redis.call('ZCARD', j) ~= tonumber(size) + tonumber(redis.call('GET', t) or 0) then return false end
return {redis.call('GET', KEYS[4]), redis.call('ZRANGE', j, 0, -1)}
)lua";

constexpr std::size_t max_script_writes = 64, max_script_bytes = 64u << 10;
constexpr std::size_t max_value_bytes = 512u << 20;  // the server's own limit
constexpr std::chrono::milliseconds fault_pause{1000};

struct Write {
  std::string key, meta;
  bool final;
  Done done;
};

// One request, repeated until it is answered. Either writes or a single command.
struct Unit {
  std::vector<Write> writes;
  std::size_t bytes = 0;
  Request command;
  std::function<void(Reply)> answered;
  bool sent = false, settled = false;
};
using UnitPtr = std::shared_ptr<Unit>;

class RedisBackend : public ResultBackend {
 public:
  RedisBackend(asio::io_context& io, const Settings& settings, const std::string& url,
               redis::ConnectionOptions options)
      : io_(io),
        connection_(io, options),
        watcher_(io, std::move(options),
                 [this](const std::string& key, auto done) { read(key, std::move(done)); }),
        pause_(io),
        prefix_(result_prefix(settings.result_backend_transport_options)),
        expires_(std::to_string(std::llround(std::ceil(std::max(0.0, settings.result_expires))))),
        display_(redis::display_urls(url)) {}

  void start(std::function<void(BrokerState, std::string)> on_state) override {
    on_state_ = std::move(on_state);
    report(BrokerState::connecting, "");
    redis::Connection::Handlers handlers;
    handlers.on_up = [this] { load_script(); };
    handlers.on_down = [this](std::string why) {
      script_.clear();
      report(BrokerState::lost, std::move(why));
    };
    handlers.on_failed = [this](std::string why) { give_up(std::move(why)); };
    connection_.start(std::move(handlers));
  }

  void store(TaskResult result, Done done) override {
    Write write{task_key(prefix_, result.task_id), {}, is_ready(result.status), std::move(done)};
    write_result(result, write.meta);
    if (write.meta.size() > max_value_bytes || !failed_.empty()) {
      std::string why = failed_.empty() ? "its result is larger than 512 MiB" : failed_;
      return asio::post(io_, [why = "task " + result.task_id + ": " + why, then = std::move(write.done)] {
        if (then) then({why});
      });
    }
    const std::size_t bytes = write.key.size() + write.meta.size();
    if (!gathering_ || gathering_->writes.size() == max_script_writes ||
        gathering_->bytes + bytes > max_script_bytes)
      gather();
    gathering_->bytes += bytes;
    gathering_->writes.push_back(std::move(write));
    if (posted_) return;
    posted_ = true;  // what else this turn of the loop stores goes along
    asio::post(io_, [this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      posted_ = false;
      gathering_.reset();
      transmit();
    });
  }

  void fetch(std::string task_id, std::function<void(Expected<std::optional<Json>>)> done) override {
    read(task_key(prefix_, task_id), std::move(done));
  }

  void wait(std::string task_id, std::chrono::milliseconds timeout,
            std::function<void(Expected<Json>)> done) override {
    watcher_.wait(task_key(prefix_, task_id), timeout, std::move(done));
  }

  void forget(std::string task_id, std::function<void(Expected<bool>)> done) override {
    command(Request().add("DEL", task_key(prefix_, task_id)), [done = std::move(done)](Reply reply) {
      if (!reply.ok()) return done(unexpected(reply.problem()));
      done(reply.integer() > 0);
    });
  }

  bool counts_chords() const override { return true; }

  void set_chord_size(std::string group_id, std::int64_t size, Done done) override {
    set(group_key(prefix_, group_id) + ".s", std::to_string(size), std::move(done));
  }

  void grow_chord(std::string group_id, Done done) override {
    command(Request().add("INCR", group_key(prefix_, group_id) + ".t"), told(std::move(done)));
  }

  void save_group(std::string group_id, Json result, Done done) override {
    Json document = Json::object();
    document["result"] = std::move(result);
    set(group_key(prefix_, group_id), dump_json(document), std::move(done));
  }

  void add_chord_part(ChordPart part,
                      std::function<void(Expected<std::optional<ChordParts>>)> done) override {
    const std::string key = group_key(prefix_, part.group_id);
    std::string begin = "[1, ";
    dump_json_string(part.task_id, begin);
    begin += ", ";
    std::string member = begin;
    dump_json_string(part.state, member);
    member.append(", ").append(part.result).append("]");
    const std::string place = part.index ? std::to_string(*part.index) : "+inf";
    command(Request().add("EVAL", part_script, 4, key + ".j", key + ".t", key + ".s", key, place, member,
                          begin, expires_),
            [key, done = std::move(done)](Reply reply) {
              if (!reply.ok()) return done(unexpected(key + ": " + reply.problem()));
              if (!reply.is_array() || reply.size() < 2) return done(std::nullopt);
              done(read_parts(key, reply));
            });
  }

  void forget_chord(std::string group_id, Done done) override {
    const std::string key = group_key(prefix_, group_id);
    command(Request().add("DEL", key + ".j", key + ".t", key + ".s"), told(std::move(done)));
  }

  void stop(std::function<void()> done) override {
    on_empty_ = std::move(done);
    gathering_.reset();
    transmit();
    finish_if_stopping();
  }

  std::string display_url() const override { return display_; }

 private:
  void report(BrokerState state, std::string what) {
    if (auto listener = on_state_) listener(state, std::move(what));
  }

  void load_script() {
    connection_.send({"SCRIPT", "LOAD", store_script}, [this](Reply reply) {
      if (reply.lost()) return;
      if (!reply.ok()) return connection_.reconnect(reply.problem());
      script_ = reply.text();
      report(BrokerState::connected, "");
      transmit();
    });
  }

  void gather() {
    gathering_ = std::make_shared<Unit>();
    units_.push_back(gathering_);
  }

  void read(const std::string& key, std::function<void(Expected<std::optional<Json>>)> done) {
    command(Request().add("GET", key), [key, done = std::move(done)](Reply reply) {
      if (!reply.ok()) return done(unexpected(key + ": " + reply.problem()));
      if (reply.is_nil()) return done(std::nullopt);
      auto meta = read_result(reply.text());
      if (!meta) return done(unexpected(key + ": " + meta.error().what));
      done(std::move(*meta));
    });
  }

  static Expected<std::optional<ChordParts>> read_parts(const std::string& key, Reply reply) {
    ChordParts parts;
    if (reply[0].is_string()) {
      auto document = parse_json(reply[0].text());
      if (!document || !document->is_object() || !document->contains("result"))
        return unexpected(key + ": no saved group");
      parts.group = std::move((*document)["result"]);
    }
    const Reply members = reply[1];
    for (std::size_t i = 0; i < members.size(); ++i) parts.members.emplace_back(members[i].text());
    return parts;
  }

  static std::function<void(Reply)> told(Done done) {
    return [done = std::move(done)](Reply reply) { done({reply.problem()}); };
  }

  void set(const std::string& key, const std::string& value, Done done) {
    Request request;
    if (expires_ == "0")
      request.add("SET", key, value);
    else
      request.add("SET", key, value, "EX", expires_);
    command(std::move(request), told(std::move(done)));
  }

  // After what was stored before.
  void command(Request request, std::function<void(Reply)> answered) {
    gathering_.reset();
    auto unit = std::make_shared<Unit>();
    unit->command = std::move(request);
    unit->answered = std::move(answered);
    units_.push_back(std::move(unit));
    transmit();
  }

  void transmit() {
    if (script_.empty() || pause_.waiting() || !connection_.ready()) return;
    for (auto at = first_unsent_; at < units_.size(); ++at)
      if (const auto& unit = units_[at]; !unit->sent && unit != gathering_) send(unit);
    first_unsent_ = gathering_ ? units_.size() - 1 : units_.size();
  }

  void send(const UnitPtr& unit) {
    unit->sent = true;
    if (unit->answered)
      return connection_.send(unit->command, [this, unit](Reply reply) { answer(unit, reply); });
    Request request;
    request.begin(4 + 2 * unit->writes.size()).arg("EVALSHA").arg(script_).arg(unit->writes.size());
    for (auto& write : unit->writes) request.arg(write.key);
    request.arg(expires_);
    for (auto& write : unit->writes) request.arg(write.meta);
    connection_.send(request, [this, unit](Reply reply) { stored(unit, reply); });
  }

  void answer(const UnitPtr& unit, Reply reply) {
    if (reply.lost()) return unsend(unit);
    const std::weak_ptr<bool> alive(alive_);
    auto then = std::move(unit->answered);
    settle(unit);
    then(reply);
    if (!alive.expired()) finish_if_stopping();
  }

  void stored(const UnitPtr& unit, Reply reply) {
    if (reply.lost()) return unsend(unit);
    if (reply.is_error()) {
      unsend(unit);
      if (reply.text().starts_with("NOSCRIPT")) return connection_.reconnect("the script cache was emptied");
      return fault(std::string(reply.text()));
    }
    std::vector<Status> verdicts(unit->writes.size());
    std::string trouble;
    std::vector<Write> later;
    tell_again(*unit, reply[1]);
    const Reply failures = reply[0];
    for (std::size_t i = 0; i + 1 < failures.size(); i += 2) {
      const auto index = static_cast<std::size_t>(failures[i].integer() - 1);
      if (index >= unit->writes.size()) continue;
      const std::string what(failures[i + 1].text());
      auto& write = unit->writes[index];
      // A key of another type stays one. All else (no memory, no rights) passes, but a state
      // in between is not worth repeating: it could overtake the final one.
      if (what.find("WRONGTYPE") != std::string::npos || !write.final) {
        verdicts[index].what = write.key + ": " + what;
      } else {
        trouble = what;
        later.push_back(std::exchange(write, {}));
      }
    }
    auto writes = std::exchange(unit->writes, std::move(later));
    if (unit->writes.empty()) {
      settle(unit);
    } else {
      unsend(unit);
    }
    const std::weak_ptr<bool> alive(alive_);
    for (std::size_t i = 0; i < writes.size(); ++i)
      if (writes[i].done) writes[i].done(std::move(verdicts[i]));
    if (alive.expired()) return;
    if (!trouble.empty()) {
      fault(trouble);
    } else if (std::exchange(faulty_, false)) {
      report(BrokerState::connected, "");
    }
    finish_if_stopping();
  }

  void tell_again(const Unit& unit, const Reply& unheard) {
    std::vector<std::string_view> keys;
    for (std::size_t i = 0; i < unheard.size(); ++i) {
      const auto index = static_cast<std::size_t>(unheard[i].integer() - 1);
      if (index < unit.writes.size() && unit.writes[index].final) keys.emplace_back(unit.writes[index].key);
    }
    if (keys.empty()) return;
    Request request;
    request.begin(2 + keys.size()).arg("PUBSUB").arg("NUMSUB");
    for (const auto key : keys) request.arg(key);
    command(std::move(request), [this](Reply listeners) { tell_late_listeners(listeners); });
  }

  // Rarely any. The results are stored and were told once: an error here, such as a missing right, takes
  // nothing away.
  void tell_late_listeners(const Reply& listeners) {
    std::vector<std::string_view> keys;
    for (std::size_t i = 0; i + 1 < listeners.size(); i += 2)
      if (listeners[i + 1].integer() > 0) keys.push_back(listeners[i].text());
    if (keys.empty()) return;
    Request request;
    request.begin(3 + keys.size()).arg("EVAL").arg(tell_again_script).arg(keys.size());
    for (const auto key : keys) request.arg(key);
    command(std::move(request), [](const Reply&) {});
  }

  void settle(const UnitPtr& unit) {
    unit->settled = true;
    for (; !units_.empty() && units_.front()->settled; units_.pop_front())
      if (first_unsent_ > 0) --first_unsent_;
  }

  void unsend(const UnitPtr& unit) {
    unit->sent = false;
    first_unsent_ = 0;
  }

  void fault(const std::string& why) {
    faulty_ = true;
    report(BrokerState::lost, why);
    pause_.after(fault_pause, [this] { transmit(); });
  }

  void give_up(std::string why) {
    failed_ = why;
    gathering_.reset();
    auto units = std::exchange(units_, {});
    first_unsent_ = 0;
    const std::weak_ptr<bool> alive(alive_);
    report(BrokerState::failed, why);
    for (auto& unit : units) {
      if (unit->answered && !alive.expired()) unit->answered(Reply(nullptr));
      for (auto& write : unit->writes)
        if (write.done && !alive.expired()) write.done({write.key + ": " + why});
    }
    if (!alive.expired()) finish_if_stopping();
  }

  void finish_if_stopping() {
    if (!on_empty_ || !units_.empty()) return;
    watcher_.close();
    connection_.close();
    on_state_ = nullptr;
    asio::post(io_, std::exchange(on_empty_, nullptr));
  }

  asio::io_context& io_;
  redis::Connection connection_;
  redis::ResultWatcher watcher_;
  Timer pause_;
  std::string prefix_, expires_, display_;
  std::function<void(BrokerState, std::string)> on_state_;
  std::function<void()> on_empty_;  // set by stop()
  std::string script_;              // its hash, while connected
  std::string failed_;              // why we gave up

  std::deque<UnitPtr> units_;     // not answered yet, in order: what is repeated is repeated in this order
  UnitPtr gathering_;             // the last of them while this turn of the loop adds to it
  std::size_t first_unsent_ = 0;  // units before this one have been sent
  bool posted_ = false, faulty_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Expected<std::unique_ptr<ResultBackend>> make_redis_backend(asio::io_context& io, const Settings& settings,
                                                            const std::string& url) {
  auto options = redis::connection_options(url, settings.result_backend_transport_options,
                                           settings.redis_backend_use_ssl);
  if (!options) return tl::unexpected(options.error());
  if (options->client_name.empty()) options->client_name = "celeriac-results";
  return std::make_unique<RedisBackend>(io, settings, url, std::move(*options));
}

}  // namespace celeriac
