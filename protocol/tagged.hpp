// Values that JSON has no form for, as kombu writes them: {"__type__": "decimal", "__value__": "1.10"}.
// Task authors take and return these types; a plain string in their place is read as well, because
// older producers send one. from_json throws std::invalid_argument, as task bodies expect.
#pragma once

#include "protocol/json.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

// Digits as they were sent; never rounded through a double.
struct Decimal {
  std::string text = "0";
  bool operator==(const Decimal&) const = default;
};

struct Bytes {
  std::string data;
  bool operator==(const Bytes&) const = default;
};

struct Uuid {
  std::string text;  // lower case, with dashes
  bool operator==(const Uuid&) const = default;
};

struct Date {
  std::chrono::year_month_day day{std::chrono::year(1970), std::chrono::month(1), std::chrono::day(1)};
  bool operator==(const Date&) const = default;
};

struct Time {
  std::chrono::microseconds since_midnight{0};
  std::optional<std::chrono::seconds> utc_offset;
  bool operator==(const Time&) const = default;
};

// The wall clock where it was taken. `utc_offset` is empty for a naive value, which Celery means as UTC.
struct DateTime {
  std::chrono::local_time<std::chrono::microseconds> local{};
  std::optional<std::chrono::seconds> utc_offset;

  std::chrono::sys_time<std::chrono::microseconds> utc() const {
    return std::chrono::sys_time<std::chrono::microseconds>(local.time_since_epoch() -
                                                            utc_offset.value_or(std::chrono::seconds(0)));
  }
  bool operator==(const DateTime&) const = default;
};

void to_json(Json& json, const Decimal& value);
void to_json(Json& json, const Bytes& value);
void to_json(Json& json, const Uuid& value);
void to_json(Json& json, const Date& value);
void to_json(Json& json, const Time& value);
void to_json(Json& json, const DateTime& value);
void from_json(const Json& json, Decimal& value);
void from_json(const Json& json, Bytes& value);
void from_json(const Json& json, Uuid& value);
void from_json(const Json& json, Date& value);
void from_json(const Json& json, Time& value);
void from_json(const Json& json, DateTime& value);

// An object with exactly the two keys; null when it is none. kombu gives only such objects a meaning.
struct Tag {
  std::string_view type;
  const Json* value = nullptr;
};
std::optional<Tag> find_tag(const Json& json);
bool is_known_tag(std::string_view type);
Json make_tag(std::string_view type, Json value);

Json tagged_bytes(std::string_view bytes);                 // "bytes" when UTF-8, else "base64"
std::optional<std::string> bytes_of_tag(const Tag& tag);   // of "bytes" and "base64"
std::optional<std::string> tagged_text(const Json& json);  // text of a tagged uuid, decimal, date or time

// The error names the first tag that kombu does not know, anywhere in the value.
Expected<void> check_tags(const Json& value);

}  // namespace celeriac
