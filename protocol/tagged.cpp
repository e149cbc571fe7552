#include "protocol/tagged.hpp"

#include "protocol/base64.hpp"
#include "protocol/iso8601.hpp"
#include "protocol/utf8.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace celeriac {
namespace {

using namespace std::chrono;

[[noreturn]] void reject(const char* type, const Json& json) {
  std::string text = dump_json(json);
  if (text.size() > 60) text = text.substr(0, 60) + "...";
  throw std::invalid_argument(std::string("no ") + type + ": " + text);
}

const std::string* text_of(const Json& json) {
  return json.is_string() ? &json.get_ref<const std::string&>() : nullptr;
}

// The text inside a tag of this type, or the plain string.
std::string required_text(const char* type, const Json& json) {
  const Json* value = &json;
  if (const auto tag = find_tag(json)) {
    if (tag->type != type) reject(type, json);
    value = tag->value;
  }
  if (const auto* text = text_of(*value)) return *text;
  reject(type, json);
}

// Any spelling that Python's UUID() takes, as lower case with dashes.
std::optional<std::string> normal_uuid(std::string_view text) {
  if (text.starts_with("urn:uuid:")) text.remove_prefix(9);
  if (text.size() > 2 && text.front() == '{' && text.back() == '}') text = text.substr(1, text.size() - 2);
  std::string out;
  for (const char c : text) {
    if (c == '-') continue;
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    if (!((lower >= '0' && lower <= '9') || (lower >= 'a' && lower <= 'f')) || out.size() == 36)
      return std::nullopt;
    if (out.size() == 8 || out.size() == 13 || out.size() == 18 || out.size() == 23) out += '-';
    out += lower;
  }
  if (out.size() != 36) return std::nullopt;
  return out;
}

std::optional<std::string> uuid_of_tag(const Json& value) {
  if (const auto* text = text_of(value)) return normal_uuid(*text);
  if (!value.is_object()) return std::nullopt;
  const auto hex = value.find("hex");
  return hex != value.end() && hex->is_string() ? normal_uuid(hex->get_ref<const std::string&>())
                                                : std::nullopt;
}

CalendarTime calendar(microseconds local, std::optional<seconds> offset) {
  const auto day = floor<days>(local);
  const year_month_day date{sys_days(day)};
  const hh_mm_ss clock(local - day);
  CalendarTime t;
  t.year = int(date.year());
  t.month = static_cast<int>(unsigned(date.month()));
  t.day = static_cast<int>(unsigned(date.day()));
  t.hour = static_cast<int>(clock.hours().count());
  t.minute = static_cast<int>(clock.minutes().count());
  t.second = static_cast<int>(clock.seconds().count());
  t.microsecond = static_cast<int>(clock.subseconds().count());
  if (offset) t.offset = static_cast<int>(offset->count());
  return t;
}

microseconds clock_of(const CalendarTime& t) {
  return hours(t.hour) + minutes(t.minute) + seconds(t.second) + microseconds(t.microsecond);
}

std::optional<seconds> offset_of(const CalendarTime& t) {
  return t.offset ? std::optional(seconds(*t.offset)) : std::nullopt;
}

// Python's Decimal(): digits with one point and an exponent, or a special value.
bool is_decimal(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  for (const std::string_view special : {"NaN", "sNaN", "Infinity", "Inf"}) {
    if (text == special) return true;
  }
  std::size_t i = 0, digits = 0;
  const auto run = [&] {
    while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i, ++digits;
  };
  run();
  if (i < text.size() && text[i] == '.') ++i, run();
  if (digits == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    digits = 0;
    run();
    if (digits == 0) return false;
  }
  return i == text.size();
}

}  // namespace

std::optional<Tag> find_tag(const Json& json) {
  if (!json.is_object() || json.size() != 2) return std::nullopt;
  const auto& members = json.get_ref<const Json::object_t&>();
  const auto& one = *members.begin();
  const auto& two = *std::next(members.begin());
  const bool in_order = one.first == "__type__" && two.first == "__value__";
  if (!in_order && !(one.first == "__value__" && two.first == "__type__")) return std::nullopt;
  const Json& type = in_order ? one.second : two.second;
  // A type that is no text is a tag all the same, one that nobody knows.
  return Tag{type.is_string() ? std::string_view(type.get_ref<const std::string&>()) : std::string_view(),
             in_order ? &two.second : &one.second};
}

bool is_known_tag(std::string_view type) {
  constexpr std::array<std::string_view, 7> known = {"datetime", "date",  "time",  "decimal",
                                                     "uuid",     "bytes", "base64"};
  return std::find(known.begin(), known.end(), type) != known.end();
}

Json make_tag(std::string_view type, Json value) {
  Json json = Json::object();
  auto& members = json.get_ref<Json::object_t&>();
  members.reserve(2);
  members.emplace_back("__type__", std::string(type));
  members.emplace_back("__value__", std::move(value));
  return json;
}

Json tagged_bytes(std::string_view bytes) {
  return is_utf8(bytes) ? make_tag("bytes", std::string(bytes)) : make_tag("base64", base64_encode(bytes));
}

std::optional<std::string> bytes_of_tag(const Tag& tag) {
  const auto* text = text_of(*tag.value);
  if (!text) return std::nullopt;
  if (tag.type == "bytes") return *text;
  if (tag.type != "base64") return std::nullopt;
  auto bytes = base64_decode(*text);
  if (!bytes) return std::nullopt;
  return std::move(*bytes);
}

std::optional<std::string> tagged_text(const Json& json) {
  const auto tag = find_tag(json);
  if (!tag) return std::nullopt;
  if (tag->type == "uuid") return uuid_of_tag(*tag->value);
  const auto* text = text_of(*tag->value);
  if (!text || !is_known_tag(tag->type) || tag->type == "base64") return std::nullopt;
  return *text;
}

Expected<void> check_tags(const Json& value) {
  if (value.is_array()) {
    for (const auto& element : value.get_ref<const Json::array_t&>()) {
      if (!element.is_structured()) continue;
      if (auto ok = check_tags(element); !ok) return ok;
    }
  } else if (value.is_object()) {
    if (const auto tag = find_tag(value); tag && !is_known_tag(tag->type)) {
      return unexpected("unknown __type__ '" + std::string(tag->type.substr(0, 60)) + "'");
    }
    for (const auto& [key, member] : value.get_ref<const Json::object_t&>()) {
      if (!member.is_structured()) continue;
      if (auto ok = check_tags(member); !ok) return ok;
    }
  }
  return {};
}

void to_json(Json& json, const Decimal& value) { json = make_tag("decimal", value.text); }

void to_json(Json& json, const Bytes& value) { json = tagged_bytes(value.data); }

void to_json(Json& json, const Uuid& value) {
  std::string hex = value.text;
  std::erase(hex, '-');
  Json inner = Json::object();
  inner["hex"] = std::move(hex);
  json = make_tag("uuid", std::move(inner));
}

void to_json(Json& json, const Date& value) {
  json = make_tag("date", format_date(calendar(sys_days(value.day).time_since_epoch(), std::nullopt)));
}

void to_json(Json& json, const Time& value) {
  json = make_tag("time", format_time_of_day(calendar(value.since_midnight, value.utc_offset)));
}

void to_json(Json& json, const DateTime& value) {
  const auto t = calendar(value.local.time_since_epoch(), value.utc_offset);
  json = make_tag("datetime", format_date(t) + "T" + format_time_of_day(t));
}

void from_json(const Json& json, Decimal& value) {
  // A whole number or a float stands for itself: Decimal(3), Decimal("0.1").
  if (json.is_number() || is_big_integer(json)) {
    value.text = dump_json(json);
    return;
  }
  std::string text = required_text("decimal", json);
  if (!is_decimal(text)) reject("decimal", json);
  value.text = std::move(text);
}

void from_json(const Json& json, Bytes& value) {
  if (const auto* text = text_of(json)) {
    value.data = *text;
    return;
  }
  const auto tag = find_tag(json);
  auto bytes = tag ? bytes_of_tag(*tag) : std::nullopt;
  if (!bytes) reject("bytes", json);
  value.data = std::move(*bytes);
}

void from_json(const Json& json, Uuid& value) {
  const auto tag = find_tag(json);
  if (tag && tag->type != "uuid") reject("uuid", json);
  auto text = uuid_of_tag(tag ? *tag->value : json);
  if (!text) reject("uuid", json);
  value.text = std::move(*text);
}

void from_json(const Json& json, Date& value) {
  const auto t = parse_calendar_time(required_text("date", json));
  if (!t) reject("date", json);
  value.day = {year(t->year), month(static_cast<unsigned>(t->month)), day(static_cast<unsigned>(t->day))};
}

void from_json(const Json& json, Time& value) {
  const auto t = parse_time_of_day(required_text("time", json));
  if (!t) reject("time", json);
  value = {clock_of(*t), offset_of(*t)};
}

void from_json(const Json& json, DateTime& value) {
  const auto t = parse_calendar_time(required_text("datetime", json));
  if (!t) reject("datetime", json);
  const auto midnight = days(days_since_epoch(t->year, t->month, t->day));
  value = {local_time<microseconds>(midnight + clock_of(*t)), offset_of(*t)};
}

}  // namespace celeriac
