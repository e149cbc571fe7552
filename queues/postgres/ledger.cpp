#include "queues/ledger.hpp"

#include "config/url.hpp"
#include "protocol/json.hpp"
#include "protocol/time.hpp"
#include "queues/postgres/connection.hpp"
#include "queues/postgres/ledger_table.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>

namespace celeriac {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr std::size_t batch_rows = 500, batch_bytes = 2u << 20;
constexpr std::size_t most_waiting = 100000, most_waiting_bytes = 128u << 20;
constexpr milliseconds gather{200};  // a full batch leaves at once
constexpr milliseconds retry_pause{1000};
constexpr std::int32_t expire_piece = 2000;
constexpr double rate_window = 300;  // seconds

// What no repetition will mend: the values themselves.
bool is_fault_of_row(const std::string& sqlstate) {
  const auto category = sqlstate.substr(0, 2);
  return category == "22" || category == "23" || category == "54";
}
constexpr const char* undefined_table = "42P01";

}  // namespace

Expected<Message> message_of(const LedgerRow& row) {
  if (row.headers.empty())
    return unexpected("the message of task " + row.task_id + " was too large for the ledger");
  auto headers = parse_json(row.headers);
  if (!headers || !headers->is_object())
    return unexpected("the headers of task " + row.task_id + " are damaged");
  for (const char* name : {"eta", "expires"})
    if (headers->contains(name)) (*headers)[name] = nullptr;
  Message message;
  message.headers = dump_json(*headers);
  message.body = row.body;
  message.content_type = row.content_type;
  message.content_encoding = row.content_encoding;
  message.properties.correlation_id = row.task_id;
  message.properties.routing_key = row.queue;
  message.properties.priority = row.priority;
  return message;
}

std::size_t LedgerRow::bytes() const {
  return sizeof *this + task_id.size() + task.size() + queue.size() + worker.size() + cause.size() +
         traceback.size() + args.size() + kwargs.size() + result.size() + headers.size() + body.size();
}

struct Ledger::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& io_, pg::ConnectionOptions options, std::string display_, double expires_)
      : io(io_),
        connection(io_, std::move(options)),
        timer(io_),
        display(std::move(display_)),
        expires(expires_) {}

  using Batch = std::vector<LedgerRow>;

  asio::io_context& io;
  pg::Connection connection;
  asio::steady_timer timer;
  std::string display;
  double expires;  // seconds
  std::function<void(BrokerState, std::string)> on_state;
  std::function<void()> on_empty;  // set by stop()
  std::deque<LedgerRow> queue;
  std::deque<Batch> again;  // pieces of a refused batch, ahead of the queue
  std::size_t queue_bytes = 0, again_rows = 0;
  std::uint64_t written = 0, dropped = 0;
  bool writing = false, waiting = false, closed = false, up = false;

  void report(BrokerState state, const std::string& what) {
    if (auto listener = on_state) listener(state, what);
  }

  void record(LedgerRow row) {
    queue_bytes += row.bytes();
    queue.push_back(std::move(row));
    while (queue.size() > most_waiting || queue_bytes > most_waiting_bytes) {
      queue_bytes -= queue.front().bytes();
      queue.pop_front();
      if (dropped++ % 10000 == 0)
        spdlog::error("ledger: too much waits for {}: the oldest runs are not recorded", display);
    }
    if (queue.size() >= batch_rows) return next_batch();
    wait_for(gather);
  }

  void wait_for(milliseconds pause) {
    if (waiting || closed) return;
    waiting = true;
    timer.expires_after(pause);
    timer.async_wait([self = shared_from_this()](boost::system::error_code) {
      self->waiting = false;
      self->next_batch();
    });
  }

  void next_batch() {
    if (writing || closed) return;
    Batch batch;
    if (!again.empty()) {
      batch = std::move(again.front());
      again.pop_front();
      again_rows -= batch.size();
    } else {
      for (std::size_t bytes = 0; !queue.empty() && batch.size() < batch_rows && bytes < batch_bytes;) {
        bytes += queue.front().bytes();
        queue_bytes -= queue.front().bytes();
        batch.push_back(std::move(queue.front()));
        queue.pop_front();
      }
    }
    if (batch.empty()) {
      if (!on_empty) return;
      close();
      return asio::post(io, std::exchange(on_empty, nullptr));
    }
    writing = true;
    auto statement = pg::insert_runs(batch);
    auto shared = std::make_shared<Batch>(std::move(batch));
    connection.query(std::move(statement), pg::Repeat::yes, [this, shared](pg::Outcome outcome) {
      writing = false;
      done(std::move(*shared), outcome);
    });
  }

  void keep(Batch batch) {
    again_rows += batch.size();
    again.push_front(std::move(batch));
  }

  void done(Batch batch, const pg::Outcome& outcome) {
    if (outcome.ok()) {
      written += batch.size();
    } else if (!is_fault_of_row(outcome.sqlstate)) {
      // Read-only, disk full, missing rights, no table: it passes, or an operator sees to it.
      report(BrokerState::lost, outcome.what);
      if (outcome.sqlstate == undefined_table) connection.reconnect("task_runs does not exist");
      keep(std::move(batch));
      return wait_for(retry_pause);
    } else if (batch.size() == 1) {
      ++dropped;
      spdlog::error("ledger: the run of task {} cannot be recorded: {}", batch[0].task_id, outcome.what);
    } else {
      const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
      keep(Batch(std::make_move_iterator(middle), std::make_move_iterator(batch.end())));
      keep(Batch(std::make_move_iterator(batch.begin()), std::make_move_iterator(middle)));
    }
    if (!again.empty() || queue.size() >= batch_rows || on_empty) return next_batch();
    if (!queue.empty()) wait_for(gather);
  }

  void expire_from(double before, std::uint64_t deleted,
                   std::function<void(Expected<std::uint64_t>)> answer) {
    connection.query(pg::expire_runs(before, expire_piece), pg::Repeat::yes,
                     [this, before, deleted, answer = std::move(answer)](pg::Outcome outcome) mutable {
                       if (!outcome.ok()) return answer(unexpected("ledger: " + outcome.what));
                       const auto some = static_cast<std::uint64_t>(outcome.rows[0].affected());
                       if (some == static_cast<std::uint64_t>(expire_piece))
                         return expire_from(before, deleted + some, std::move(answer));
                       answer(deleted + some);
                     });
  }

  // What need not be repeated: it is told again soon.
  void tell(pg::Statement statement) {
    if (closed) return;
    connection.query(std::move(statement), pg::Repeat::yes, [this](const pg::Outcome& outcome) {
      if (!outcome.ok() && !closed) report(BrokerState::lost, outcome.what);
    });
  }

  void close() {
    closed = true;
    on_state = nullptr;
    timer.cancel();
    connection.close();
  }
};

Ledger::Ledger(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::~Ledger() { impl_->close(); }

Expected<std::unique_ptr<Ledger>> Ledger::connect(asio::io_context& io, const Settings& settings) {
  if (settings.ledger_url.empty()) return std::unique_ptr<Ledger>();
  auto url = parse_url(settings.ledger_url);
  if (!url) return unexpected("ledger_url: " + url.error().what);
  auto options = pg::connection_options(*url);
  if (!options) return unexpected("ledger_url: " + options.error().what);
  return std::unique_ptr<Ledger>(
      new Ledger(std::make_shared<Impl>(io, std::move(*options), url->display(), settings.ledger_expires)));
}

void Ledger::start(std::function<void(BrokerState, std::string)> on_state) {
  impl_->on_state = std::move(on_state);
  impl_->connection.prepare_with(pg::create_ledger());
  pg::Connection::Handlers handlers;
  handlers.on_up = [impl = impl_.get()] {
    impl->up = true;
    impl->report(BrokerState::connected, "");
  };
  handlers.on_down = [impl = impl_.get()](std::string why) {
    impl->up = false;
    impl->report(BrokerState::lost, why);
  };
  impl_->connection.start(std::move(handlers));
}

void Ledger::record(LedgerRow row) { impl_->record(std::move(row)); }

bool Ledger::up() const { return impl_->up; }
void Ledger::open(const std::string& holder, std::vector<LedgerRow> rows) {
  impl_->tell(pg::open_runs(holder, rows));
}
void Ledger::keep_open(const std::string& holder) { impl_->tell(pg::keep_runs_open(holder)); }
void Ledger::close(const std::string& holder, std::vector<LedgerRow> rows) {
  impl_->tell(pg::close_runs(holder, rows));
}
void Ledger::end_lost(std::function<void(Expected<std::uint64_t>)> done) {
  impl_->connection.query(pg::end_lost_runs(lost_after), pg::Repeat::yes,
                          [done = std::move(done)](const pg::Outcome& outcome) {
                            if (!outcome.ok()) return done(unexpected("ledger: " + outcome.what));
                            done(static_cast<std::uint64_t>(outcome.rows[0].affected()));
                          });
}

std::size_t Ledger::waiting() const { return impl_->queue.size() + impl_->again_rows; }
std::uint64_t Ledger::written() const { return impl_->written; }
std::uint64_t Ledger::dropped() const { return impl_->dropped; }

void Ledger::find(const LedgerQuery& query, std::function<void(Expected<std::vector<LedgerRow>>)> done) {
  impl_->connection.query(pg::select_runs(query), pg::Repeat::yes,
                          [with_message = query.with_message, done = std::move(done)](pg::Outcome outcome) {
                            if (!outcome.ok()) return done(unexpected("ledger: " + outcome.what));
                            done(pg::read_runs(outcome.rows[0], with_message));
                          });
}

void Ledger::rates(std::function<void(Expected<std::vector<QueueRate>>)> done) {
  impl_->connection.query(pg::select_rates(unix_now() - rate_window), pg::Repeat::yes,
                          [done = std::move(done)](pg::Outcome outcome) {
                            if (!outcome.ok()) return done(unexpected("ledger: " + outcome.what));
                            done(pg::read_rates(outcome.rows[0]));
                          });
}

void Ledger::expire(std::function<void(Expected<std::uint64_t>)> done) {
  if (impl_->expires <= 0) return asio::post(impl_->io, [done = std::move(done)] { done(0); });
  impl_->expire_from(unix_now() - impl_->expires, 0, std::move(done));
}

void Ledger::stop(std::function<void()> done) {
  impl_->on_empty = std::move(done);
  impl_->next_batch();
}

std::string Ledger::display_url() const { return impl_->display; }

}  // namespace celeriac
