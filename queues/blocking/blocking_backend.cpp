#include "queues/blocking/blocking_backend.hpp"

#include "protocol/time.hpp"
#include "queues/backoff.hpp"
#include "queues/result_poll.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <deque>
#include <random>
#include <utility>

namespace celeriac {
namespace {

namespace asio = boost::asio;

constexpr std::size_t max_batch_results = 256, max_batch_bytes = 4u << 20;

struct Write {
  TaskResult result;
  Done done;
};

// One thing to do, again and again until the store has no fault. Either writes or a call.
struct Unit {
  std::vector<Write> writes;
  std::size_t bytes = 0;
  std::function<std::optional<StoreFault>(BlockingStore&)> call;  // on the thread
  std::function<void(const std::string& failed)> then;            // on the loop; empty: it was done
};
using UnitPtr = std::shared_ptr<Unit>;

class BlockingBackend : public ResultBackend {
 public:
  BlockingBackend(asio::io_context& io, std::unique_ptr<BlockingStore> store, BlockingOptions options)
      : io_(io),
        store_(std::move(store)),
        options_(std::move(options)),
        retry_timer_(io),
        backoff_(BackoffOptions{}, std::random_device{}()),
        polls_(io, [this](std::string id, auto done) { fetch(std::move(id), std::move(done)); }) {}

  ~BlockingBackend() override {
    alive_.reset();
    thread_.join();
  }

  void start(std::function<void(BrokerState, std::string)> on_state) override {
    on_state_ = std::move(on_state);
    report(BrokerState::connecting, "");
    auto unit = std::make_shared<Unit>();
    unit->call = [](BlockingStore&) { return std::nullopt; };  // opened is all it has to be
    unit->then = [](const std::string&) {};
    add(std::move(unit));
  }

  void store(TaskResult result, Done done) override {
    const std::size_t bytes = result.result.size() + result.traceback.size() + result.args.size() +
                              result.kwargs.size() + result.children.size();
    if (!gathering_ || gathering_->writes.size() == max_batch_results ||
        gathering_->bytes + bytes > max_batch_bytes) {
      auto unit = std::make_shared<Unit>();
      add(unit);
      gathering_ = std::move(unit);
    }
    gathering_->bytes += bytes;
    gathering_->writes.push_back({std::move(result), std::move(done)});
  }

  void fetch(std::string task_id, std::function<void(Expected<std::optional<Json>>)> done) override {
    call<Expected<std::optional<Json>>>(
        [id = std::move(task_id)](BlockingStore& store) { return store.fetch(id); }, std::move(done));
  }

  void wait(std::string task_id, std::chrono::milliseconds timeout,
            std::function<void(Expected<Json>)> done) override {
    polls_.wait(std::move(task_id), timeout, std::move(done));
  }

  void forget(std::string task_id, std::function<void(Expected<bool>)> done) override {
    call<bool>([id = std::move(task_id)](BlockingStore& store) { return store.forget(id); }, std::move(done));
  }

  void cleanup(std::function<void(Expected<std::uint64_t>)> done) override {
    if (options_.expires <= 0) return asio::post(io_, [done = std::move(done)] { done(0); });
    call<std::uint64_t>(
        [before = unix_now() - options_.expires](BlockingStore& store) { return store.expire(before); },
        std::move(done));
  }

  bool counts_chords() const override { return store_->counts_chords(); }
  void set_chord_size(std::string group_id, std::int64_t size, Done done) override {
    tell([id = std::move(group_id), size](BlockingStore& store) { return store.set_chord_size(id, size); },
         std::move(done));
  }
  void grow_chord(std::string group_id, Done done) override {
    tell([id = std::move(group_id)](BlockingStore& store) { return store.grow_chord(id); }, std::move(done));
  }
  void save_group(std::string group_id, Json result, Done done) override {
    tell([id = std::move(group_id),
          value = std::move(result)](BlockingStore& store) { return store.save_group(id, value); },
         std::move(done));
  }
  void add_chord_part(ChordPart part,
                      std::function<void(Expected<std::optional<ChordParts>>)> done) override {
    call<Expected<std::optional<ChordParts>>>(
        [part = std::move(part)](BlockingStore& store) { return store.add_chord_part(part); },
        std::move(done));
  }
  void forget_chord(std::string group_id, Done done) override {
    tell([id = std::move(group_id)](BlockingStore& store) { return store.forget_chord(id); },
         std::move(done));
  }

  void stop(std::function<void()> done) override {
    on_empty_ = std::move(done);
    finish_if_stopping();
  }

  std::string display_url() const override { return options_.display; }

 private:
  // Asks the store for an Answer; the handler takes it, or the reason why it will never come.
  template <class Answer, class Ask, class Handler>
  void call(Ask ask, Handler done) {
    auto answer = std::make_shared<std::optional<Answer>>();
    auto unit = std::make_shared<Unit>();
    unit->call = [answer, ask = std::move(ask)](BlockingStore& store) -> std::optional<StoreFault> {
      auto got = ask(store);
      if (!got) return std::move(got).error();
      answer->emplace(std::move(*got));
      return std::nullopt;
    };
    unit->then = [answer, done = std::move(done)](const std::string& failed) {
      if (failed.empty()) return done(std::move(**answer));
      if constexpr (std::is_same_v<Answer, Status>) {
        done({failed});
      } else {
        done(unexpected(failed));
      }
    };
    add(std::move(unit));
  }

  template <class Ask>
  void tell(Ask ask, Done done) {
    call<Status>(std::move(ask), std::move(done));
  }

  void add(UnitPtr unit) {
    gathering_.reset();
    units_.push_back(std::move(unit));
    if (posted_) return;
    posted_ = true;  // what else this turn of the loop asks for goes along
    asio::post(io_, [this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      posted_ = false;
      begin();
    });
  }

  void begin() {
    if (busy_ || paused_ || units_.empty()) return;
    if (!failed_.empty()) return give_up();
    busy_ = true;
    const UnitPtr unit = units_.front();
    if (gathering_ == unit) gathering_.reset();
    auto verdicts = std::make_shared<std::vector<Status>>();
    // The guard keeps the loop from running out of work while the thread is at it.
    asio::post(thread_, [this, unit, verdicts, alive = std::weak_ptr(alive_),
                         guard = asio::make_work_guard(io_)]() mutable {
      auto fault = perform(*unit, *verdicts);
      asio::post(io_, [this, unit, verdicts, alive, fault = std::move(fault)] {
        if (!alive.expired()) performed(unit, std::move(*verdicts), fault);
      });
    });
  }

  // On the thread.
  std::optional<StoreFault> perform(Unit& unit, std::vector<Status>& verdicts) {
    if (!open_) {
      if (auto fault = store_->open()) return fault;
      open_ = true;
    }
    std::optional<StoreFault> fault;
    if (unit.call) {
      fault = unit.call(*store_);
    } else {
      std::vector<const TaskResult*> batch;
      for (const Write& write : unit.writes) batch.push_back(&write.result);
      auto stored = store_->store(batch);
      if (stored)
        verdicts = std::move(*stored);
      else
        fault = std::move(stored).error();
    }
    if (fault) open_ = false;
    return fault;
  }

  void performed(const UnitPtr& unit, std::vector<Status> verdicts, const std::optional<StoreFault>& fault) {
    busy_ = false;
    const std::weak_ptr<bool> alive(alive_);  // a handler may destroy us
    if (fault) {
      if (fault->for_good) {
        failed_ = fault->what;
        report(BrokerState::failed, fault->what);
        if (!alive.expired()) give_up();
        return;
      }
      paused_ = true;
      retry_timer_.expires_after(backoff_.next().value_or(std::chrono::seconds(30)));
      retry_timer_.async_wait([this, alive](boost::system::error_code ec) {
        if (ec || alive.expired()) return;
        paused_ = false;
        begin();
      });
      connected_ = false;
      return report(BrokerState::lost, fault->what);
    }
    units_.pop_front();
    backoff_.succeeded();
    if (!std::exchange(connected_, true)) report(BrokerState::connected, "");
    if (unit->then && !alive.expired()) unit->then("");
    for (std::size_t i = 0; i < unit->writes.size() && !alive.expired(); ++i) {
      auto& write = unit->writes[i];
      if (!verdicts[i].ok()) verdicts[i].what = "task " + write.result.task_id + ": " + verdicts[i].what;
      if (write.done) write.done(std::move(verdicts[i]));
    }
    if (alive.expired()) return;
    begin();
    finish_if_stopping();
  }

  void give_up() {
    const std::weak_ptr<bool> alive(alive_);
    gathering_.reset();
    for (auto& unit : std::exchange(units_, {})) {
      if (unit->then && !alive.expired()) unit->then(failed_);
      for (auto& write : unit->writes)
        if (write.done && !alive.expired()) write.done({"task " + write.result.task_id + ": " + failed_});
    }
    if (!alive.expired()) finish_if_stopping();
  }

  void report(BrokerState state, const std::string& what) {
    if (auto listener = on_state_) listener(state, what);
  }

  void finish_if_stopping() {
    if (!on_empty_ || busy_ || !units_.empty()) return;
    retry_timer_.cancel();
    on_state_ = nullptr;
    asio::post(io_, std::exchange(on_empty_, nullptr));
  }

  asio::io_context& io_;
  std::unique_ptr<BlockingStore> store_;  // only the thread calls it, but for counts_chords()
  bool open_ = false;                     // the thread's
  const BlockingOptions options_;
  asio::steady_timer retry_timer_;
  Backoff backoff_;
  std::function<void(BrokerState, std::string)> on_state_;
  std::function<void()> on_empty_;  // set by stop()
  std::string failed_;              // why we gave up

  std::deque<UnitPtr> units_;  // in order; the first is under way while busy_
  UnitPtr gathering_;          // the last of them while writes may be added to it
  bool posted_ = false, busy_ = false, paused_ = false, connected_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ResultPoll polls_;
  asio::thread_pool thread_{1};
};

}  // namespace

std::unique_ptr<ResultBackend> make_blocking_backend(asio::io_context& io,
                                                     std::unique_ptr<BlockingStore> store,
                                                     BlockingOptions options) {
  return std::make_unique<BlockingBackend>(io, std::move(store), std::move(options));
}

}  // namespace celeriac
