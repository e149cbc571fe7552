#include "queues/postgres/postgres_backend.hpp"

#include "protocol/time.hpp"
#include "queues/backoff.hpp"
#include "queues/postgres/connection.hpp"
#include "queues/postgres/django_table.hpp"
#include "queues/postgres/result_table.hpp"
#include "queues/result_poll.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <unordered_set>
#include <utility>

namespace celeriac {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// One commit carries at most this much. While it is under way the next one gathers.
constexpr std::size_t max_batch_rows = 500, max_batch_bytes = 1u << 20;
// Sessions, of which all but one are opened only when so many rows wait that one cannot keep up.
constexpr std::size_t max_lanes = 3, rows_for_a_lane = 100;
constexpr std::int32_t expire_batch = 1000;

struct Write {
  ResultRow row;
  Done done;
};
using Batch = std::vector<Write>;

// What no repetition will mend: the values themselves (data exception, integrity, limits).
// Everything else the server refuses is a fault of the store, and passes.
bool is_fault_of_row(const std::string& sqlstate) {
  const auto category = sqlstate.substr(0, 2);
  return category == "22" || category == "23" || category == "54";
}
constexpr const char* undefined_table = "42P01";

// What is left of several writes for one task: the last one, but a SUCCESS stays.
std::vector<const ResultRow*> final_rows(const Batch& batch) {
  std::map<std::string_view, const ResultRow*> last;  // sorted: two writers lock rows in one order
  for (auto& write : batch) {
    auto& slot = last[write.row.task_id];
    if (!slot || slot->status != state::success || write.row.status == state::success) slot = &write.row;
  }
  std::vector<const ResultRow*> out;
  for (auto& [id, row] : last) out.push_back(row);
  return out;
}

std::unique_ptr<pg::ResultLayout> make_layout(const Settings& settings, const Url& url) {
  if (url.scheme.starts_with("django-db+")) return std::make_unique<pg::DjangoTable>();
  return std::make_unique<pg::ResultTable>(settings);
}

class PostgresBackend : public ResultBackend {
 public:
  PostgresBackend(asio::io_context& io, const Settings& settings, const Url& url,
                  pg::ConnectionOptions options)
      : impl_(std::make_shared<Impl>(io, settings, url, std::move(options))),
        polls_(io, [this](std::string id, auto done) { impl_->fetch(std::move(id), std::move(done)); }) {}
  ~PostgresBackend() override { impl_->close(); }

  void start(std::function<void(BrokerState, std::string)> on_state) override {
    impl_->start(std::move(on_state));
  }
  void store(TaskResult result, Done done) override { impl_->store(result, std::move(done)); }
  void fetch(std::string task_id, std::function<void(Expected<std::optional<Json>>)> done) override {
    impl_->fetch(std::move(task_id), std::move(done));
  }
  void wait(std::string task_id, milliseconds timeout, std::function<void(Expected<Json>)> done) override {
    polls_.wait(std::move(task_id), timeout, std::move(done));
  }
  void forget(std::string task_id, std::function<void(Expected<bool>)> done) override {
    impl_->forget(std::move(task_id), std::move(done));
  }
  void cleanup(std::function<void(Expected<std::uint64_t>)> done) override {
    if (impl_->expires <= 0) return asio::post(impl_->io, [done = std::move(done)] { done(0); });
    impl_->expire(unix_now() - impl_->expires, false, 0, std::move(done));
  }

  bool counts_chords() const override { return impl_->layout->counts_chords(); }
  void set_chord_size(std::string group_id, std::int64_t size, Done done) override {
    if (!counts_chords()) return ResultBackend::set_chord_size(std::move(group_id), size, std::move(done));
    impl_->tell(impl_->layout->begin_chord(group_id, size), std::move(done));
  }
  void save_group(std::string group_id, Json result, Done done) override {
    if (!counts_chords()) return ResultBackend::save_group(group_id, std::move(result), std::move(done));
    impl_->tell(impl_->layout->save_group(group_id, result), std::move(done));
  }
  void add_chord_part(ChordPart part,
                      std::function<void(Expected<std::optional<ChordParts>>)> done) override {
    if (!counts_chords()) return ResultBackend::add_chord_part(std::move(part), std::move(done));
    impl_->end_part(part, std::move(done));
  }
  void forget_chord(std::string group_id, Done done) override {
    if (!counts_chords()) return ResultBackend::forget_chord(std::move(group_id), std::move(done));
    impl_->tell(impl_->layout->forget_chord(group_id), std::move(done));
  }

  void stop(std::function<void()> done) override {
    impl_->on_empty = std::move(done);
    impl_->next_batches();
  }
  std::string display_url() const override { return impl_->display; }

 private:
  // A session that writes one batch at a time, also when the batch is split.
  struct Lane {
    Lane(asio::io_context& io, const pg::ConnectionOptions& options) : connection(io, options) {}
    pg::Connection connection;
    std::deque<Batch> again;                // pieces of a refused batch
    std::unordered_set<std::string> tasks;  // whose rows are under way here
    bool writing = false;

    bool busy() const { return writing || !again.empty(); }
  };

  struct Impl : std::enable_shared_from_this<Impl> {
    Impl(asio::io_context& io_, const Settings& settings, const Url& url, pg::ConnectionOptions options_)
        : io(io_),
          layout(make_layout(settings, url)),
          options(std::move(options_)),
          retry_timer(io_),
          backoff(BackoffOptions{}, std::random_device{}()),
          display(url.display()),
          create_at_setup(settings.database_create_tables_at_setup),
          expires(settings.result_expires) {
      lanes.push_back(std::make_unique<Lane>(io, options));
    }

    asio::io_context& io;
    const std::unique_ptr<pg::ResultLayout> layout;
    pg::ConnectionOptions options;
    std::vector<std::unique_ptr<Lane>> lanes;  // the first also answers questions
    asio::steady_timer retry_timer;
    Backoff backoff;
    std::string display;
    bool create_at_setup;
    double expires;  // seconds
    std::function<void(BrokerState, std::string)> on_state;
    std::function<void()> on_empty;  // set by stop()
    std::string failed;              // why we gave up

    std::deque<Write> queue;
    bool posted = false, paused = false, closed = false;

    pg::Connection& connection() { return lanes.front()->connection; }

    void start(std::function<void(BrokerState, std::string)> listener) {
      on_state = std::move(listener);
      report(BrokerState::connecting, "");
      start(*lanes.front());
    }

    void start(Lane& lane) {
      if (create_at_setup) lane.connection.prepare_with(layout->create());
      pg::Connection::Handlers handlers;
      handlers.on_up = [this] {
        for (const auto& each : lanes)
          if (!each->connection.ready() && matters(*each)) return;
        report(BrokerState::connected, "");
        next_batches();
      };
      handlers.on_down = [this, &lane](std::string why) {
        if (matters(lane)) report(BrokerState::lost, why);
      };
      if (&lane == lanes.front().get())
        handlers.on_failed = [this](std::string why) { give_up(std::move(why)); };
      lane.connection.start(std::move(handlers));
    }

    // A further session that cannot be had is no loss as long as it has nothing to do.
    bool matters(const Lane& lane) const { return &lane == lanes.front().get() || lane.busy(); }

    void report(BrokerState state, const std::string& what) {
      if (auto listener = on_state) listener(state, what);
    }

    void store(const TaskResult& result, Done done) {
      auto row = layout->row(result);
      if (!failed.empty()) row = unexpected("task " + result.task_id + ": " + failed);
      if (!row) {
        asio::post(io, [what = row.error().what, done = std::move(done)] { done(Status{what}); });
        return;
      }
      queue.push_back({std::move(*row), std::move(done)});
      if (posted) return;
      posted = true;  // what else this turn of the loop stores goes along
      asio::post(io, [self = shared_from_this()] {
        self->posted = false;
        self->next_batches();
      });
    }

    void next_batches() {
      if (paused || closed) return;
      for (std::size_t i = 0; i < lanes.size(); ++i) {
        Lane& lane = *lanes[i];
        if (lane.writing) continue;
        if (!lane.again.empty()) {
          Batch batch = std::move(lane.again.front());
          lane.again.pop_front();
          write(lane, std::move(batch));
        } else if (i == 0 || (lane.connection.ready() && queue.size() >= rows_for_a_lane)) {
          if (Batch batch = gather(); !batch.empty()) write(lane, std::move(batch));
        }
      }
      if (queue.size() >= rows_for_a_lane && lanes.size() < max_lanes && connection().ready()) {
        lanes.push_back(std::make_unique<Lane>(io, options));
        start(*lanes.back());
      }
      finish_if_stopping();
    }

    // From the front of the queue; a task with a row under way elsewhere has to wait for it, so that its
    // states keep their order.
    Batch gather() {
      Batch batch;
      std::size_t bytes = 0;
      std::deque<Write> blocked;
      while (!queue.empty() && batch.size() < max_batch_rows) {
        Write& next = queue.front();
        const bool elsewhere = std::any_of(lanes.begin(), lanes.end(), [&](const auto& lane) {
          return lane->tasks.contains(next.row.task_id);
        });
        if (!elsewhere) bytes += next.row.bytes();
        if (!elsewhere && !batch.empty() && bytes > max_batch_bytes) break;
        if (elsewhere)
          blocked.push_back(std::move(next));
        else
          batch.push_back(std::move(next));
        queue.pop_front();
      }
      queue.insert(queue.begin(), std::make_move_iterator(blocked.begin()),
                   std::make_move_iterator(blocked.end()));
      return batch;
    }

    void write(Lane& lane, Batch batch) {
      lane.writing = true;
      for (auto& each : batch) lane.tasks.insert(each.row.task_id);
      auto statement = layout->upsert(final_rows(batch));
      auto shared = std::make_shared<Batch>(std::move(batch));
      lane.connection.query(std::move(statement), pg::Repeat::yes,
                            [this, &lane, shared](pg::Outcome outcome) {
                              lane.writing = false;
                              written(lane, std::move(*shared), outcome);
                            });
    }

    void written(Lane& lane, Batch batch, const pg::Outcome& outcome) {
      const auto self = shared_from_this();  // a handler may destroy the backend
      if (!failed.empty()) {
        for (auto& write : batch) refuse(write);
        return finish_if_stopping();
      }
      if (!outcome.ok() && !is_fault_of_row(outcome.sqlstate)) {
        lane.again.push_front(std::move(batch));
        return pause(lane, outcome);
      }
      if (!outcome.ok() && batch.size() > 1) {
        const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
        lane.again.emplace_front(std::make_move_iterator(middle), std::make_move_iterator(batch.end()));
        lane.again.emplace_front(std::make_move_iterator(batch.begin()), std::make_move_iterator(middle));
        return next_batches();
      }
      if (lane.again.empty()) lane.tasks.clear();
      if (outcome.ok()) {
        if (backoff.failures() > 0) report(BrokerState::connected, "");
        backoff.succeeded();
      }
      for (auto& write : batch)
        if (write.done) write.done({outcome.ok() ? "" : "task " + write.row.task_id + ": " + outcome.what});
      next_batches();
    }

    // The store cannot take results at the moment: read-only, disk full, a lock, missing rights.
    void pause(Lane& lane, const pg::Outcome& outcome) {
      report(BrokerState::lost, outcome.what);
      if (outcome.sqlstate == undefined_table) {
        lane.connection.prepare_with(layout->create());
        lane.connection.reconnect("the result table does not exist");
      }
      if (std::exchange(paused, true)) return;
      retry_timer.expires_after(backoff.next().value_or(std::chrono::seconds(30)));
      retry_timer.async_wait([self = shared_from_this()](boost::system::error_code ec) {
        if (ec) return;
        self->paused = false;
        self->next_batches();
      });
    }

    void refuse(const Write& write) const {
      if (write.done) write.done({"task " + write.row.task_id + ": " + failed});
    }

    // The server refused us at the first connect: nothing was or will be written. What the connection
    // holds is answered by it.
    void give_up(std::string why) {
      const auto self = shared_from_this();  // a handler may destroy the backend
      failed = std::move(why);
      report(BrokerState::failed, failed);
      for (auto& write : std::exchange(queue, {})) refuse(write);
      finish_if_stopping();
    }

    void fetch(std::string task_id, std::function<void(Expected<std::optional<Json>>)> done) {
      auto statement = layout->select(task_id);
      connection().query(std::move(statement), pg::Repeat::yes,
                         [this, task_id = std::move(task_id), done = std::move(done)](pg::Outcome outcome) {
                           if (outcome.sqlstate == undefined_table)
                             return done(std::nullopt);  // nobody wrote yet
                           if (!outcome.ok())
                             return done(unexpected("task " + task_id + ": " + outcome.what));
                           if (outcome.rows[0].size() == 0) return done(std::nullopt);
                           auto meta = layout->read(task_id, outcome.rows[0]);
                           if (!meta) return done(tl::unexpected(meta.error()));
                           done(std::move(*meta));
                         });
    }

    void forget(std::string task_id, std::function<void(Expected<bool>)> done) {
      auto statement = layout->remove(task_id);
      connection().query(std::move(statement), pg::Repeat::yes,
                         [task_id = std::move(task_id), done = std::move(done)](pg::Outcome outcome) {
                           if (outcome.sqlstate == undefined_table) return done(false);
                           if (!outcome.ok())
                             return done(unexpected("task " + task_id + ": " + outcome.what));
                           done(outcome.rows[0].affected() > 0);
                         });
    }

    // In pieces, so that no statement holds many rows; groups after tasks.
    void expire(double before, bool groups, std::uint64_t deleted,
                std::function<void(Expected<std::uint64_t>)> done) {
      auto statement = layout->expire(before, expire_batch, groups);
      connection().query(
          std::move(statement), pg::Repeat::yes,
          [this, before, groups, deleted, done = std::move(done)](pg::Outcome outcome) mutable {
            if (!outcome.ok() && outcome.sqlstate != undefined_table)
              return done(unexpected("expired results: " + outcome.what));
            const std::uint64_t some =
                outcome.ok() ? static_cast<std::uint64_t>(outcome.rows[0].affected()) : 0;
            if (some == static_cast<std::uint64_t>(expire_batch))
              return expire(before, groups, deleted + some, std::move(done));
            if (!groups) return expire(before, true, deleted + some, std::move(done));
            done(deleted + some);
          });
    }

    void tell(pg::Statement statement, Done done) {
      connection().query(std::move(statement), pg::Repeat::yes,
                         [done = std::move(done)](pg::Outcome outcome) {
                           done({outcome.ok() ? "" : "chord: " + outcome.what});
                         });
    }

    void end_part(const ChordPart& part, std::function<void(Expected<std::optional<ChordParts>>)> done) {
      connection().run(layout->end_part(part), pg::Repeat::yes,
                       [group_id = part.group_id, done = std::move(done)](pg::Outcome outcome) {
                         if (!outcome.ok())
                           return done(unexpected("chord " + group_id + ": " + outcome.what));
                         const pg::Rows& rows = outcome.rows.back();
                         if (rows.size() == 0) return done(std::nullopt);
                         auto tuples = parse_json(rows.value(0, 0));
                         if (!tuples)
                           return done(unexpected("chord " + group_id + ": " + tuples.error().what));
                         ChordParts parts;
                         parts.group = Json::array({Json::array({group_id, nullptr}), std::move(*tuples)});
                         done(std::move(parts));
                       });
    }

    void finish_if_stopping() {
      if (!on_empty || !queue.empty()) return;
      for (const auto& lane : lanes)
        if (lane->busy()) return;
      close();
      asio::post(io, std::exchange(on_empty, nullptr));
    }

    void close() {
      closed = true;
      on_state = nullptr;
      retry_timer.cancel();
      for (auto& lane : lanes) lane->connection.close();
    }
  };

  std::shared_ptr<Impl> impl_;
  ResultPoll polls_;
};

}  // namespace

Expected<std::unique_ptr<ResultBackend>> make_postgres_backend(asio::io_context& io, const Settings& settings,
                                                               const Url& url) {
  auto options = pg::connection_options(url);
  if (!options) return tl::unexpected(options.error());
  return std::make_unique<PostgresBackend>(io, settings, url, std::move(*options));
}

}  // namespace celeriac
