#include "queues/postgres/statement.hpp"

#include <bit>
#include <cmath>
#include <limits>

namespace celeriac::pg {
namespace {

// Fixed numbers of the server's catalogue (pg_type.dat).
constexpr unsigned bool_oid = 16, bytea_oid = 17, int8_oid = 20, int4_oid = 23, text_oid = 25,
                   float8_oid = 701, timestamp_oid = 1114, timestamptz_oid = 1184, jsonb_oid = 3802;
constexpr unsigned bytea_array_oid = 1001, int4_array_oid = 1007, text_array_oid = 1009,
                   timestamp_array_oid = 1115;

void put32(std::string& out, std::uint32_t value) {
  const char big_endian[] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                             static_cast<char>(value >> 8), static_cast<char>(value)};
  out.append(big_endian, sizeof big_endian);
}

void put64(std::string& out, std::uint64_t value) {
  put32(out, static_cast<std::uint32_t>(value >> 32));
  put32(out, static_cast<std::uint32_t>(value));
}

// The server counts microseconds from 2000-01-01; its own range ends long before int64's.
std::uint64_t timestamp_value(double unix_seconds) {
  constexpr double epoch = 946684800.0, limit = 9e12;
  if (!(std::abs(unix_seconds) < limit)) unix_seconds = std::signbit(unix_seconds) ? -limit : limit;
  return static_cast<std::uint64_t>(std::llround(unix_seconds * 1e6) - std::llround(epoch * 1e6));
}

Param time_param(double unix_seconds, unsigned type) {
  Param out{std::string(), type};
  put64(*out.value, timestamp_value(unix_seconds));
  return out;
}

}  // namespace

Param null() { return {}; }
Param text(std::string_view utf8) { return {std::string(utf8), text_oid}; }
Param bytes(std::string_view value) { return {std::string(value), bytea_oid}; }
Param boolean(bool value) { return {std::string(1, value ? '\1' : '\0'), bool_oid}; }
Param timestamp(double unix_seconds) { return time_param(unix_seconds, timestamp_oid); }
Param timestamptz(double unix_seconds) { return time_param(unix_seconds, timestamptz_oid); }
Param jsonb(std::string_view json_text) { return {"\1" + std::string(json_text), jsonb_oid}; }
Param literal(std::string_view as_in_sql) { return {std::string(as_in_sql), 0, false}; }

Param int4(std::int32_t value) {
  Param out{std::string(), int4_oid};
  put32(*out.value, static_cast<std::uint32_t>(value));
  return out;
}

Param int8(std::int64_t value) {
  Param out{std::string(), int8_oid};
  put64(*out.value, static_cast<std::uint64_t>(value));
  return out;
}

Param float8(double value) {
  Param out{std::string(), float8_oid};
  put64(*out.value, std::bit_cast<std::uint64_t>(value));
  return out;
}

// Layout: dimensions, has-null flag, element type, then length and lower bound of the one
// dimension, then each value with its length (-1: NULL). Count and flag are filled in last.
ArrayParam::ArrayParam(unsigned element, unsigned array) : array_type_(array) {
  put32(data_, 1);
  put32(data_, 0);
  put32(data_, element);
  put32(data_, 0);
  put32(data_, 1);
}

ArrayParam ArrayParam::of_text() { return {text_oid, text_array_oid}; }
ArrayParam ArrayParam::of_bytes() { return {bytea_oid, bytea_array_oid}; }
ArrayParam ArrayParam::of_int4() { return {int4_oid, int4_array_oid}; }
ArrayParam ArrayParam::of_timestamp() { return {timestamp_oid, timestamp_array_oid}; }

void ArrayParam::add_null() {
  ++count_;
  has_null_ = true;
  put32(data_, std::numeric_limits<std::uint32_t>::max());
}

void ArrayParam::add_or_null(const std::optional<std::string>& value) {
  if (value)
    add(*value);
  else
    add_null();
}

void ArrayParam::add(std::string_view value) {
  ++count_;
  put32(data_, static_cast<std::uint32_t>(value.size()));
  data_.append(value);
}

void ArrayParam::add_int4(std::int32_t value) {
  ++count_;
  put32(data_, 4);
  put32(data_, static_cast<std::uint32_t>(value));
}

void ArrayParam::add_timestamp(double unix_seconds) {
  ++count_;
  put32(data_, 8);
  put64(data_, timestamp_value(unix_seconds));
}

Param ArrayParam::finish() && {
  std::string number;
  put32(number, has_null_ ? 1 : 0);
  data_.replace(4, 4, number);
  number.clear();
  put32(number, count_);
  data_.replace(12, 4, number);
  return {std::move(data_), array_type_};
}

namespace {
std::string quote(std::string_view value, char mark) {
  std::string out(1, mark);
  for (char c : value) {
    if (c == mark) out += mark;
    out += c;
  }
  return out + mark;
}
}  // namespace

std::string quote_identifier(std::string_view name) { return quote(name, '"'); }
std::string quote_literal(std::string_view value) {
  // The E form means the same whatever standard_conforming_strings says.
  std::string out;
  for (char c : value) {
    if (c == '\\') out += '\\';
    out += c;
  }
  return "E" + quote(out, '\'');
}

}  // namespace celeriac::pg
