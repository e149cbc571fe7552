#include "queues/postgres/postgres_backend.hpp"

#include "protocol/time.hpp"
#include "queues/backoff.hpp"
#include "queues/postgres/connection.hpp"
#include "queues/postgres/result_row.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <map>
#include <random>

namespace celeriac {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// One commit carries at most this much. While it is under way the next one gathers.
constexpr std::size_t max_batch_rows = 100, max_batch_bytes = 1u << 20;
constexpr std::int32_t expire_batch = 1000;
constexpr milliseconds first_poll{10}, longest_poll{500};

struct Write {
  pg::ResultRow row;
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
std::vector<const pg::ResultRow*> final_rows(const Batch& batch) {
  std::map<std::string_view, const pg::ResultRow*> last;  // sorted: two writers lock rows in one order
  for (auto& write : batch) {
    auto& slot = last[write.row.task_id];
    if (!slot || slot->status != state::success || write.row.status == state::success) slot = &write.row;
  }
  std::vector<const pg::ResultRow*> out;
  for (auto& [id, row] : last) out.push_back(row);
  return out;
}

class PostgresBackend : public ResultBackend {
 public:
  PostgresBackend(asio::io_context& io, const Settings& settings, const Url& url,
                  pg::ConnectionOptions options)
      : impl_(std::make_shared<Impl>(io, settings, url, std::move(options))) {}
  ~PostgresBackend() override { impl_->close(); }

  void start(std::function<void(BrokerState, std::string)> on_state) override {
    impl_->start(std::move(on_state));
  }
  void store(TaskResult result, Done done) override { impl_->store(result, std::move(done)); }
  void fetch(std::string task_id, std::function<void(Expected<std::optional<Json>>)> done) override {
    impl_->fetch(std::move(task_id), std::move(done));
  }
  void wait(std::string task_id, milliseconds timeout, std::function<void(Expected<Json>)> done) override {
    auto waiter = std::make_shared<Waiter>(impl_->io, std::move(task_id), steady_clock::now() + timeout,
                                           std::move(done));
    impl_->poll(std::move(waiter));
  }
  void forget(std::string task_id, std::function<void(Expected<bool>)> done) override {
    impl_->forget(std::move(task_id), std::move(done));
  }
  void cleanup(std::function<void(Expected<std::uint64_t>)> done) override {
    if (impl_->expires <= 0) return asio::post(impl_->io, [done = std::move(done)] { done(0); });
    impl_->expire(unix_now() - impl_->expires, false, 0, std::move(done));
  }
  void stop(std::function<void()> done) override {
    impl_->on_empty = std::move(done);
    impl_->next_batch();
  }
  std::string display_url() const override { return impl_->display; }

 private:
  struct Waiter {
    Waiter(asio::io_context& io, std::string id, steady_clock::time_point limit,
           std::function<void(Expected<Json>)> then)
        : task_id(std::move(id)), deadline(limit), done(std::move(then)), timer(io) {}
    std::string task_id;
    steady_clock::time_point deadline;
    std::function<void(Expected<Json>)> done;
    asio::steady_timer timer;
    milliseconds pause = first_poll;
  };

  struct Impl : std::enable_shared_from_this<Impl> {
    Impl(asio::io_context& io_, const Settings& settings, const Url& url, pg::ConnectionOptions options)
        : io(io_),
          table(settings),
          connection(io_, std::move(options)),
          retry_timer(io_),
          backoff(BackoffOptions{}, std::random_device{}()),
          display(url.display()),
          create_at_setup(settings.database_create_tables_at_setup),
          expires(settings.result_expires) {}

    asio::io_context& io;
    pg::ResultTable table;
    pg::Connection connection;
    asio::steady_timer retry_timer;
    Backoff backoff;
    std::string display;
    bool create_at_setup;
    double expires;  // seconds
    std::function<void(BrokerState, std::string)> on_state;
    std::function<void()> on_empty;  // set by stop()

    std::deque<Write> queue;
    std::deque<Batch> again;  // pieces of a refused batch, ahead of the queue
    bool writing = false;     // one batch at a time keeps the order of each task, also when it is split
    bool posted = false, paused = false, closed = false;

    void start(std::function<void(BrokerState, std::string)> listener) {
      on_state = std::move(listener);
      if (create_at_setup) connection.prepare_with(table.create());
      report(BrokerState::connecting, "");
      pg::Connection::Handlers handlers;
      handlers.on_up = [this] { report(BrokerState::connected, ""); };
      handlers.on_down = [this](std::string why) { report(BrokerState::lost, why); };
      connection.start(std::move(handlers));
    }

    void report(BrokerState state, const std::string& what) {
      if (auto listener = on_state) listener(state, what);
    }

    void store(const TaskResult& result, Done done) {
      auto row = pg::make_row(result);
      if (!row) {
        asio::post(io, [what = row.error().what, done = std::move(done)] { done(Status{what}); });
        return;
      }
      queue.push_back({std::move(*row), std::move(done)});
      if (posted) return;
      posted = true;  // what else this turn of the loop stores goes along
      asio::post(io, [self = shared_from_this()] {
        self->posted = false;
        self->next_batch();
      });
    }

    void next_batch() {
      if (writing || paused || closed) return;
      if (!again.empty()) {
        Batch batch = std::move(again.front());
        again.pop_front();
        return write(std::move(batch));
      }
      if (queue.empty()) return finish_if_stopping();
      Batch batch;
      std::size_t bytes = 0;
      while (!queue.empty() && batch.size() < max_batch_rows) {
        bytes += queue.front().row.bytes();
        if (!batch.empty() && bytes > max_batch_bytes) break;
        batch.push_back(std::move(queue.front()));
        queue.pop_front();
      }
      write(std::move(batch));
    }

    void write(Batch batch) {
      writing = true;
      auto statement = table.upsert(final_rows(batch));
      auto shared = std::make_shared<Batch>(std::move(batch));
      connection.query(std::move(statement), pg::Repeat::yes, [this, shared](pg::Outcome outcome) {
        writing = false;
        written(std::move(*shared), outcome);
      });
    }

    void written(Batch batch, const pg::Outcome& outcome) {
      const auto self = shared_from_this();  // a handler may destroy the backend
      if (outcome.ok()) {
        if (backoff.failures() > 0) report(BrokerState::connected, "");
        backoff.succeeded();
        for (auto& write : batch)
          if (write.done) write.done({});
      } else if (!is_fault_of_row(outcome.sqlstate)) {
        again.push_front(std::move(batch));
        return pause(outcome);
      } else if (batch.size() == 1) {
        if (batch[0].done) batch[0].done({"task " + batch[0].row.task_id + ": " + outcome.what});
      } else {
        const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
        again.emplace_front(std::make_move_iterator(middle), std::make_move_iterator(batch.end()));
        again.emplace_front(std::make_move_iterator(batch.begin()), std::make_move_iterator(middle));
      }
      next_batch();
    }

    // The store cannot take results at the moment: read-only, disk full, a lock, missing rights.
    void pause(const pg::Outcome& outcome) {
      paused = true;
      report(BrokerState::lost, outcome.what);
      if (outcome.sqlstate == undefined_table) {
        connection.prepare_with(table.create());
        connection.reconnect("the result table does not exist");
      }
      retry_timer.expires_after(backoff.next().value_or(std::chrono::seconds(30)));
      retry_timer.async_wait([self = shared_from_this()](boost::system::error_code ec) {
        if (ec) return;
        self->paused = false;
        self->next_batch();
      });
    }

    void fetch(std::string task_id, std::function<void(Expected<std::optional<Json>>)> done) {
      auto statement = table.select(task_id);
      connection.query(std::move(statement), pg::Repeat::yes,
                       [task_id = std::move(task_id), done = std::move(done)](pg::Outcome outcome) {
                         if (outcome.sqlstate == undefined_table)
                           return done(std::nullopt);  // nobody wrote yet
                         if (!outcome.ok()) return done(unexpected("task " + task_id + ": " + outcome.what));
                         if (outcome.rows[0].size() == 0) return done(std::nullopt);
                         auto meta = pg::ResultTable::read(task_id, outcome.rows[0]);
                         if (!meta) return done(tl::unexpected(meta.error()));
                         done(std::move(*meta));
                       });
    }

    void poll(std::shared_ptr<Waiter> waiter) {
      // The limit holds while the server is away, too.
      waiter->timer.expires_at(waiter->deadline);
      waiter->timer.async_wait([waiter](boost::system::error_code ec) {
        if (!ec) complete(*waiter, unexpected("task " + waiter->task_id + ": not ready in time"));
      });
      fetch(waiter->task_id, [self = weak_from_this(), waiter](Expected<std::optional<Json>> meta) {
        if (!waiter->done) return;
        if (!meta) return complete(*waiter, tl::unexpected(meta.error()));
        if (*meta && (**meta)["status"].is_string() &&
            is_ready((**meta)["status"].get_ref<const std::string&>()))
          return complete(*waiter, std::move(**meta));
        const auto next = steady_clock::now() + waiter->pause;
        if (next >= waiter->deadline) return;  // the timer set above ends it
        waiter->pause = std::min(waiter->pause * 2, longest_poll);
        waiter->timer.expires_at(next);
        waiter->timer.async_wait([self, waiter](boost::system::error_code ec) {
          auto alive = self.lock();
          if (!ec && alive && !alive->closed) alive->poll(waiter);
        });
      });
    }

    static void complete(Waiter& waiter, Expected<Json> meta) {
      waiter.timer.cancel();
      if (auto done = std::exchange(waiter.done, nullptr)) done(std::move(meta));
    }

    void forget(std::string task_id, std::function<void(Expected<bool>)> done) {
      auto statement = table.remove(task_id);
      connection.query(std::move(statement), pg::Repeat::yes,
                       [task_id = std::move(task_id), done = std::move(done)](pg::Outcome outcome) {
                         if (outcome.sqlstate == undefined_table) return done(false);
                         if (!outcome.ok()) return done(unexpected("task " + task_id + ": " + outcome.what));
                         done(outcome.rows[0].affected() > 0);
                       });
    }

    // In pieces, so that no statement holds many rows; groups after tasks.
    void expire(double before, bool groups, std::uint64_t deleted,
                std::function<void(Expected<std::uint64_t>)> done) {
      auto statement = table.expire(before, expire_batch, groups);
      connection.query(std::move(statement), pg::Repeat::yes,
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

    void finish_if_stopping() {
      if (!on_empty) return;
      close();
      asio::post(io, std::exchange(on_empty, nullptr));
    }

    void close() {
      closed = true;
      on_state = nullptr;
      retry_timer.cancel();
      connection.close();
    }
  };

  std::shared_ptr<Impl> impl_;
};

}  // namespace

Expected<std::unique_ptr<ResultBackend>> make_postgres_backend(asio::io_context& io, const Settings& settings,
                                                               const Url& url) {
  auto options = pg::connection_options(url);
  if (!options) return tl::unexpected(options.error());
  return std::make_unique<PostgresBackend>(io, settings, url, std::move(*options));
}

}  // namespace celeriac
