#include "protocol/task_fields.hpp"

#include "protocol/iso8601.hpp"
#include "protocol/json_scanner.hpp"
#include "protocol/tagged.hpp"

#include <charconv>
#include <cmath>
#include <ctime>

namespace celeriac {
namespace {

// A text, or one of kombu's tagged values that have one: an id given as a UUID arrives so.
bool read_text(JsonScanner& in, std::string& out) {
  if (in.peek() == '"') return in.read_string(out);
  if (in.peek() != '{') return in.fail("expected a string");
  std::string_view text;
  if (!in.skip_value(text)) return false;
  const auto value = parse_json(text);
  const auto tagged = value ? tagged_text(*value) : std::nullopt;
  if (!tagged) return in.fail("expected a string");
  out = *tagged;
  return true;
}

bool read_integer(JsonScanner& in, std::int64_t& out) {
  std::string_view token;
  bool integer = false;
  if (!in.read_number(token, integer)) return false;
  const auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), out);
  return (integer && ec == std::errc()) || in.fail("expected an integer");
}

// Seconds; 0 means that the message sets no limit, as for Celery.
bool read_limit(JsonScanner& in, std::optional<double>& out) {
  if (in.peek() == 'n') return in.read_null();
  std::string_view token;
  bool integer = false;
  if (!in.read_number(token, integer)) return false;
  double seconds = 0;
  std::from_chars(token.data(), token.data() + token.size(), seconds);
  if (seconds > 0 && std::isfinite(seconds)) out = seconds;
  return true;
}

bool read_time_limits(JsonScanner& in, std::optional<double>& hard, std::optional<double>& soft) {
  return in.enter_array() && in.next_element() && read_limit(in, hard) && in.next_element() &&
         read_limit(in, soft) && (!in.next_element() || in.fail("expected two limits"));
}

double local_seconds(const CalendarTime& time) {
  std::tm tm{};
  tm.tm_year = time.year - 1900;
  tm.tm_mon = time.month - 1;
  tm.tm_mday = time.day;
  tm.tm_hour = time.hour;
  tm.tm_min = time.minute;
  tm.tm_sec = time.second;
  tm.tm_isdst = -1;
  return static_cast<double>(std::mktime(&tm)) + time.microsecond / 1e6;
}

bool read_time(JsonScanner& in, std::string& text, std::optional<double>& out, bool local_time) {
  if (!read_text(in, text)) return false;
  const auto time = parse_calendar_time(text);
  if (!time) return in.fail("no ISO 8601 time");
  out = local_time && !time->offset ? local_seconds(*time) : unix_seconds(*time);
  return true;
}

}  // namespace

bool TaskFields::wrong(std::string_view key, std::string_view why) {
  error_ = "header '" + std::string(key) + "': " + std::string(why);
  return false;
}

bool TaskFields::read_field(JsonScanner& in, std::string_view key) {
  // The length tells most names apart before any is compared.
  switch (key.size()) {
    case 2:
      if (key == "id") return read_text(in, to_.id);
      break;
    case 3:
      if (key == "eta") return read_time(in, to_.eta_text, to_.eta, local_time_);
      break;
    case 4:
      if (key == "task") return read_text(in, to_.task);
      if (key == "lang") return read_text(in, to_.lang);
      break;
    case 5:
      if (key == "group") return read_text(in, to_.group);
      break;
    case 6:
      if (key == "shadow") return read_text(in, to_.shadow);
      if (key == "origin") return read_text(in, to_.origin);
      if (key == "stamps") {
        std::string_view text;
        if (in.peek() != '{') return in.fail("expected an object");
        if (!in.skip_value(text)) return false;
        to_.stamps = text == "{}" ? std::string_view() : text;
        return true;
      }
      break;
    case 7:
      if (key == "retries") return read_integer(in, to_.retries);
      if (key == "expires") return read_time(in, to_.expires_text, to_.expires, local_time_);
      if (key == "root_id") return read_text(in, to_.root_id);
      break;
    case 8:
      if (key == "argsrepr") return read_text(in, to_.argsrepr);
      break;
    case 9:
      if (key == "parent_id") return read_text(in, to_.parent_id);
      if (key == "timelimit") return read_time_limits(in, to_.time_limit, to_.soft_time_limit);
      break;
    case 10:
      if (key == "kwargsrepr") return read_text(in, to_.kwargsrepr);
      break;
    case 11:
      if (key == "group_index") {
        std::int64_t index = 0;
        if (!read_integer(in, index)) return false;
        to_.group_index = index;
        return true;
      }
      if (key == "compression") return read_text(in, to_.compression);
      break;
    case 13:
      if (key == "ignore_result") {
        bool ignore = false;
        if (!in.read_bool(ignore)) return false;
        to_.ignore_result = ignore;
        return true;
      }
      break;
    case 15:
      if (key == "stamped_headers") {
        std::string_view text;
        if (in.peek() != '[') return in.fail("expected an array");
        if (!in.skip_value(text)) return false;
        to_.stamped_headers = text;
        return true;
      }
      break;
    case 21:
      if (key == "replaced_task_nesting") return read_integer(in, to_.replaced_task_nesting);
      break;
    default:
      break;
  }
  return in.skip_value();
}

std::string TaskFields::read(std::string_view headers, bool& has_task) {
  JsonScanner in(headers);
  JsonSlice slice;
  std::string_view key;
  if (!in.enter_object()) return "headers: " + in.error();
  while (in.next_key(key)) {
    if (in.peek() == 'n') {
      in.read_null();
      continue;
    }
    if (key == "task") has_task = true;
    // The view of an escaped key does not outlive the reading of its value.
    if (read_field(in, key)) continue;
    wrong(key, in.error());
    return error_;
  }
  if (!in.finish()) return "headers: " + in.error();
  return {};
}

std::string TaskFields::read_v1(const Json& body) {
  if (!body.is_object()) return "body is no object";
  if (const auto utc = body.find("utc"); utc != body.end())
    local_time_ = utc->is_boolean() && !utc->get<bool>();
  constexpr std::string_view names[] = {"id",      "task",    "group",     "group_index",
                                        "retries", "eta",     "expires",   "timelimit",
                                        "taskset", "root_id", "parent_id", "shadow"};
  std::string text;
  for (const auto name : names) {
    const auto field = body.find(name);
    if (field == body.end() || field->is_null()) continue;
    text.clear();
    dump_json(*field, text);
    JsonScanner in(text);
    // `taskset` is the group's name from before there were groups, and wins over it.
    if (!read_field(in, name == "taskset" ? "group" : name)) {
      wrong(name, in.error());
      return error_;
    }
  }
  return {};
}

}  // namespace celeriac
