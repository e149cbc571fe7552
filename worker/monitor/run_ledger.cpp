#include "worker/monitor/run_ledger.hpp"

#include "protocol/json.hpp"
#include "protocol/result.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "worker/logging.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace celeriac {
namespace {

constexpr std::chrono::seconds interval{5};
constexpr double long_run = 5;       // seconds
constexpr unsigned sweep_turns = 3;  // so that lost runs are looked for every 15 s

// For people to read: secrets blanked, cut between characters.
std::string shown(std::string text) {
  redact(text);
  if (text.size() <= LedgerRow::text_limit) return text;
  std::size_t end = LedgerRow::text_limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

// "ValueError: boom" out of a stored exception.
std::string cause_of(const std::string& result) {
  auto exception = parse_json(result);
  if (!exception || !exception->is_object() || !exception->contains("exc_type")) return result;
  std::string out = (*exception)["exc_type"].is_string() ? (*exception)["exc_type"].get<std::string>() : "";
  const auto& message = (*exception)["exc_message"];
  if (message.is_array() && message.size() == 1 && message[0].is_string())
    return out + ": " + message[0].get<std::string>();
  return out + ": " + dump_json(message);
}

std::int32_t whole_milliseconds(double seconds) {
  return static_cast<std::int32_t>(std::clamp(std::round(seconds * 1000), 0.0, 2147483647.0));
}

}  // namespace

RunLedger::RunLedger(boost::asio::io_context& io, Ledger& ledger, std::string node,
                     std::vector<std::string> accept)
    : ledger_(ledger), node_(std::move(node)), holder_(uuid4()), accept_(std::move(accept)), timer_(io) {}

void RunLedger::start() {
  timer_.expires_after(interval);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    look();
    start();
  });
}

void RunLedger::look() {
  if (!ledger_.up()) return;
  const double begun_before = unix_now() - long_run;
  std::vector<LedgerRow> rows;
  std::size_t told = 0;
  for (auto& [job, run] : open_) {
    if (!run.told && run.started <= begun_before) {
      run.told = true;
      rows.push_back(row_of(run));
    } else if (run.told) {
      ++told;
    }
  }
  if (!rows.empty()) ledger_.open(holder_, std::move(rows));
  if (!ended_.empty()) ledger_.close(holder_, std::exchange(ended_, {}));
  if (told > 0) ledger_.keep_open(holder_);
  if (turns_++ % sweep_turns != 0) return;
  ledger_.end_lost([](const Expected<std::uint64_t>& lost) {
    if (lost && *lost > 0)
      log(LogLevel::warning, "ledger: " + std::to_string(*lost) + " runs ended with their workers");
  });
}

LedgerRow RunLedger::row_of(const Open& run) const {
  LedgerRow row;
  row.task_id = run.headers->id;
  row.task = run.headers->task;
  row.queue = run.queue;
  row.worker = node_;
  row.attempt = static_cast<std::int32_t>(std::clamp<std::int64_t>(run.headers->retries + 1, 1, 2147483647));
  row.received = run.received;
  row.started = run.started;
  auto reprs = argument_reprs(*run.message, *run.headers, accept_);
  row.args = shown(std::move(reprs.args));
  row.kwargs = shown(std::move(reprs.kwargs));
  row.root_id = run.headers->root_id;
  row.parent_id = run.headers->parent_id;
  const auto& message = *run.message;
  if (message.headers.size() + message.body.size() <= LedgerRow::message_limit) {
    row.headers = message.headers;
    row.body = message.body;
    row.content_type = message.content_type;
    row.content_encoding = message.content_encoding;
    row.priority = message.properties.priority.value_or(0);
  }
  return row;
}

void RunLedger::on_started(const Request& request) {
  open_[request.job] = {request.message, request.headers, request.queue, request.held_since,
                        request.started_at};
}

void RunLedger::on_ended(const Request& request, const RunEnd& end) {
  auto row =
      row_of({request.message, request.headers, request.queue, request.held_since, request.started_at});
  row.state = end.state;
  row.ended = unix_now();
  row.runtime_ms = whole_milliseconds(end.usage.wall);
  row.cpu_ms = whole_milliseconds(end.usage.cpu);
  row.peak_rss_kib =
      static_cast<std::int32_t>(std::min<std::uint64_t>(end.usage.peak_rss / 1024, 2147483647));
  if (end.state == state::success) {
    row.result = shown(end.settlement.result);
  } else {
    row.cause = shown(cause_of(end.settlement.result));
    row.traceback = shown(end.settlement.traceback);
  }
  if (const auto run = open_.find(request.job); run != open_.end()) {
    if (run->second.told) {
      LedgerRow which;
      which.task_id = row.task_id;
      which.attempt = row.attempt;
      ended_.push_back(std::move(which));
    }
    open_.erase(run);
  }
  ledger_.record(std::move(row));
}

}  // namespace celeriac
