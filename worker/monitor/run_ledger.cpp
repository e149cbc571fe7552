#include "worker/monitor/run_ledger.hpp"

#include "protocol/json.hpp"
#include "protocol/result.hpp"
#include "protocol/time.hpp"
#include "worker/logging.hpp"

#include <algorithm>
#include <cmath>

namespace celeriac {
namespace {

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

void RunLedger::on_ended(const Request& request, const RunEnd& end) {
  const auto& headers = *request.headers;
  const auto& message = *request.message;
  LedgerRow row;
  row.task_id = headers.id;
  row.task = headers.task;
  row.queue = request.queue;
  row.state = end.state;
  row.worker = node_;
  row.attempt = static_cast<std::int32_t>(std::clamp<std::int64_t>(headers.retries + 1, 1, 2147483647));
  row.received = request.held_since;
  row.started = request.started_at;
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
  auto reprs = argument_reprs(message, headers, accept_);
  row.args = shown(std::move(reprs.args));
  row.kwargs = shown(std::move(reprs.kwargs));
  row.root_id = headers.root_id;
  row.parent_id = headers.parent_id;
  if (message.headers.size() + message.body.size() <= LedgerRow::message_limit) {
    row.headers = message.headers;
    row.body = message.body;
    row.content_type = message.content_type;
    row.content_encoding = message.content_encoding;
    row.priority = message.properties.priority.value_or(0);
  }
  ledger_.record(std::move(row));
}

}  // namespace celeriac
