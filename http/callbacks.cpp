#include "http/callbacks.hpp"

#include "http/task_state.hpp"
#include "protocol/base64.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "tasks/store/digest.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/post.hpp>
#include <mutex>

namespace celeriac::http {
namespace {

constexpr int most_under_way = 50;
constexpr int claim_seconds = 120;  // longer than an attempt may take
constexpr const char* longest_wait = "7 days";
constexpr std::chrono::seconds pause{1}, patience{30};

}  // namespace

// The engine's thread may have an answer when we are gone.
struct Callbacks::Line {
  std::mutex mutex;
  boost::asio::io_context* io;  // null: nobody listens any more

  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex);
    if (io) boost::asio::post(*io, std::move(work));
  }
  void cut() {
    const std::lock_guard lock(mutex);
    io = nullptr;
  }
};

std::vector<std::pair<std::string, std::string>> callback_signature(const std::string& key,
                                                                    const std::string& id, std::int64_t time,
                                                                    const std::string& body) {
  const auto stamp = std::to_string(time);
  const auto text = id + "." + stamp + "." + body;
  return {{"webhook-id", id},
          {"webhook-timestamp", stamp},
          {"webhook-signature", "v1," + base64_encode(hmac_sha256(key, text))}};
}

Callbacks::Callbacks(boost::asio::io_context& io, DatabaseThreads& database, ResultBackend& results,
                     std::string key)
    : io_(io),
      database_(database),
      results_(results),
      key_(std::move(key)),
      who_("callbacks-" + uuid4()),
      timer_(io),
      line_(std::make_shared<Line>()) {
  line_->io = &io;
}

Callbacks::~Callbacks() { line_->cut(); }

void Callbacks::start() { look(); }

void Callbacks::stop() {
  stopping_ = true;
  timer_.cancel();
}

void Callbacks::look_later() {
  if (stopping_) return;
  timer_.expires_after(pause);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) look();
  });
}

void Callbacks::look() {
  const int room = most_under_way - static_cast<int>(under_way_);
  if (stopping_ || room <= 0) return look_later();
  const bool taken = database_.run<std::vector<Due>>(
      [who = who_, room](Database& database) {
        std::vector<Due> out;
        for (auto& effect : claim_callbacks(database, who, room, claim_seconds)) {
          Due due;
          due.task = known_task(database, effect.payload.value("task_id", std::string()));
          due.too_old = database
                            .run("SELECT created_at < now() - $2::interval FROM outbox WHERE id = $1",
                                 {effect.id, longest_wait})
                            .truth(0, 0);
          due.effect = std::move(effect);
          out.push_back(std::move(due));
        }
        return out;
      },
      [this](const std::vector<Due>& found, const DatabaseError* error) {
        if (error) spdlog::error("callbacks: {}", error->what());
        for (const auto& due : found) consider(due);
        look_later();
      });
  if (!taken) look_later();
}

void Callbacks::consider(const Due& due) {
  ++under_way_;
  const auto id = due.effect.payload.value("task_id", std::string());
  results_.fetch(id, [this, due, id](const Expected<std::optional<Json>>& meta) {
    --under_way_;
    if (!meta) {  // nobody knows whether it has ended
      spdlog::warn("callback {}: the result of task {} cannot be read: {}", due.effect.id, id,
                   meta.error().what);
      return settle([due, why = "the result cannot be read: " + meta.error().what](Database& database) {
        postpone_effect(database, due.effect.id, why);
      });
    }
    const Json* stored = *meta ? &**meta : nullptr;
    const auto document = state_document(id, due.task, stored);
    if (document.at("final").get<bool>()) return send(due.effect, document);
    settle([due](Database& database) {
      if (due.too_old)
        effect_failed(database, due.effect.id, std::string("the task has not ended within ") + longest_wait,
                      true);
      else
        postpone_effect(database, due.effect.id, "");
    });
  });
}

void Callbacks::send(const ClaimedEffect& effect, const Json& document) {
  const auto failed = [this, id = effect.id](const std::string& why) {
    settle([id, why](Database& database) { effect_failed(database, id, why, false); });
  };
  const auto engine = load_http_engine();
  if (!engine) return failed(engine.error().what);
  HttpRequest request;
  request.method = "POST";
  request.url = effect.target;
  request.body = dump_json(document);
  request.headers = callback_signature(key_, effect.id, static_cast<std::int64_t>(unix_now()), request.body);
  request.headers.emplace_back("Content-Type", "application/json");
  request.deadline = patience;
  request.max_body = 65536;
  ++under_way_;
  (*engine)->start(std::move(request), [this, line = line_, id = effect.id](HttpResult result) {
    line->post([this, id, result = std::move(result)] {
      --under_way_;
      sent(id, result);
    });
  });
}

void Callbacks::sent(const std::string& id, const HttpResult& result) {
  const int status = result ? result->status : 0;
  if (status / 100 == 2) return settle([id](Database& database) { effect_sent(database, id); });
  const auto why = result ? "the receiver answered " + std::to_string(status) : result.error().message;
  spdlog::warn("callback {}: {}", id, why);
  settle([id, why, gone = status == 410](Database& database) { effect_failed(database, id, why, gone); });
}

void Callbacks::settle(std::function<void(Database&)> work) {
  const bool taken = database_.run<bool>(
      [work = std::move(work)](Database& database) {
        work(database);
        return true;
      },
      [](bool, const DatabaseError* error) {
        // Its claim runs out: it is looked at again then.
        if (error) spdlog::error("callbacks: {}", error->what());
      });
  if (!taken) spdlog::error("callbacks: too much waits for the database");
}

}  // namespace celeriac::http
