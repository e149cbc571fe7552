#include "worker/beat/beat.hpp"

#include "protocol/time.hpp"
#include "worker/logging.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace celeriac {
namespace {

constexpr double default_max_interval = 300;  // seconds, Celery's
constexpr double pause_after_fault = 5;       // seconds
constexpr std::chrono::seconds stop_patience{5};
constexpr double least_sleep = 0.001, most_sleep = 3600;

}  // namespace

Expected<std::unique_ptr<Beat>> Beat::create(boost::asio::io_context& io, const Settings& settings,
                                             const App& app, std::string by) {
  auto entries = read_beat_schedule(settings, app);
  if (!entries) return tl::unexpected(entries.error());
  auto zone = Zone::find(settings.timezone);
  if (!zone) return tl::unexpected(zone.error());
  auto ledger = make_tick_ledger(io, settings);
  if (!ledger) return tl::unexpected(ledger.error());
  std::replace(by.begin(), by.end(), ' ', '_');
  return std::unique_ptr<Beat>(
      new Beat(io, settings, std::move(*zone), std::move(*ledger), std::move(*entries), std::move(by)));
}

Beat::Beat(boost::asio::io_context& io, const Settings& settings, Zone zone,
           std::unique_ptr<TickLedger> ledger, std::vector<BeatEntry> entries, std::string by)
    : zone_(std::move(zone)),
      deadline_(settings.beat_cron_starting_deadline),
      max_interval_(settings.beat_max_loop_interval > 0 ? settings.beat_max_loop_interval
                                                        : default_max_interval),
      by_(std::move(by)),
      ledger_(std::move(ledger)),
      timer_(io) {
  for (BeatEntry& entry : entries) rows_.push_back(std::make_unique<Row>(Row{std::move(entry), {}, false}));
}

void Beat::start(std::function<void(const std::string&)> on_failed) {
  on_failed_ = std::move(on_failed);
  ledger_->start([this](BrokerState state, const std::string& what) { on_state(state, what); });
}

void Beat::on_state(BrokerState state, const std::string& what) {
  if (stopping_) return;
  const bool was_connected = std::exchange(connected_, state == BrokerState::connected);
  switch (state) {
    case BrokerState::connected:
      return reload();
    case BrokerState::connecting:
      if (!what.empty()) log(LogLevel::warning, "beat: " + what);
      break;
    case BrokerState::lost:
      if (was_connected)
        log(LogLevel::warning, "beat: Connection to broker lost: " + what);
      else
        log(LogLevel::error, "beat: Cannot connect to " + ledger_->display() + ": " + what);
      break;
    case BrokerState::failed:
      timer_.cancel();
      return on_failed_(what);
  }
}

// What others have sent meanwhile is in the ledger.
void Beat::reload() {
  if (std::exchange(reloading_, true)) return;
  std::vector<std::string> names;
  for (const auto& row : rows_) names.push_back(row->entry.name());
  TickRecord fresh;
  fresh.last_run_at = unix_now();
  fresh.by = by_;
  ledger_->enroll(std::move(names), std::move(fresh), [this](Expected<TickRecords> records) {
    reloading_ = false;
    if (stopping_) return;
    if (!records) {
      log(LogLevel::error, "beat: " + records.error().what);
      return wake_at(unix_now() + pause_after_fault);
    }
    for (const auto& row : rows_) {
      const auto found = records->find(row->entry.name());
      if (found != records->end() && !row->sending) row->record = found->second;
    }
    look();
  });
}

void Beat::look() {
  if (!connected_ || stopping_) return;
  const double now = unix_now();
  double next = now + max_interval_;
  for (const auto& row : rows_) {
    if (row->sending) continue;  // its answer wakes us
    const Due due = row->entry.schedule().look(row->record.last_run_at, now, zone_, deadline_);
    if (due.now) send(*row, now);
    next = std::min(next, due.next);
  }
  if (log_enabled(LogLevel::debug))
    log(LogLevel::debug, fmt::format("beat: Waking up in {:.2f} seconds.", next - now));
  wake_at(next);
}

void Beat::send(Row& row, double now) {
  row.sending = true;
  Message message = row.entry.message(now);
  TickRecord next;
  next.last_run_at = now;
  next.total_run_count = row.record.total_run_count + 1;
  next.by = by_;
  const std::string id = message.properties.correlation_id;
  ledger_->commit(row.entry.name(), row.record, next, std::move(message),
                  [this, &row, next, id](const Expected<bool>& done) { sent(row, next, id, done); });
}

void Beat::sent(Row& row, const TickRecord& next, const std::string& id, const Expected<bool>& done) {
  row.sending = false;
  const BeatEntry& entry = row.entry;
  if (!done) {
    log(LogLevel::error,
        fmt::format("beat: Message Error: {} ({}): {}", entry.name(), entry.task(), done.error().what));
    if (!stopping_) wake_at(unix_now() + pause_after_fault);
    return;
  }
  if (*done) {
    row.record = next;
    log(LogLevel::info, fmt::format("Scheduler: Sending due task {} ({})", entry.name(), entry.task()));
    if (log_enabled(LogLevel::debug)) log(LogLevel::debug, fmt::format("{} sent. id->{}", entry.task(), id));
    return look();
  }
  if (log_enabled(LogLevel::debug))
    log(LogLevel::debug, fmt::format("beat: {} was sent by another beat", entry.name()));
  if (!stopping_) reload();
}

void Beat::wake_at(double unix_seconds) {
  const double sleep = std::clamp(unix_seconds - unix_now(), least_sleep, most_sleep);
  timer_.expires_after(std::chrono::microseconds(static_cast<std::int64_t>(std::ceil(sleep * 1e6))));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && connected_) reload();
  });
}

void Beat::stop(std::function<void()> done) {
  stopping_ = true;
  const auto once = std::make_shared<std::function<void()>>(std::move(done));
  const auto end = [this, once] {
    timer_.cancel();
    if (auto then = std::exchange(*once, nullptr)) then();
  };
  // What cannot be sent any more is due again after the next start.
  timer_.expires_after(stop_patience);
  timer_.async_wait([end](const boost::system::error_code& error) {
    if (!error) end();
  });
  ledger_->stop(end);
}

}  // namespace celeriac
