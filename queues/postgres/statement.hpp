// A statement for PostgreSQL and its parameters, in the server's binary form where that saves
// quoting: text keeps its length (so a NUL byte is refused by the server instead of ending the
// value early) and times do not depend on the session's zone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac::pg {

struct Param {
  std::optional<std::string> value;  // empty: NULL
  unsigned type = 0;                 // type oid; 0: the server decides
  bool binary = true;
};

Param null();
Param text(std::string_view utf8);
Param bytes(std::string_view value);
Param int4(std::int32_t value);
Param int8(std::int64_t value);
Param float8(double value);
Param boolean(bool value);
Param timestamp(double unix_seconds);  // without time zone: UTC
Param timestamptz(double unix_seconds);
Param jsonb(std::string_view json_text);
Param literal(std::string_view as_in_sql);  // the server reads it as whatever type it needs there

// A one-dimensional array, filled value by value. All values of one type.
class ArrayParam {
 public:
  static ArrayParam of_text();
  static ArrayParam of_bytes();
  static ArrayParam of_int4();
  static ArrayParam of_timestamp();

  void add_null();
  void add(std::string_view value);  // text, bytes
  void add_or_null(const std::optional<std::string>& value);
  void add_int4(std::int32_t value);
  void add_timestamp(double unix_seconds);
  std::size_t size() const { return count_; }
  Param finish() &&;

 private:
  ArrayParam(unsigned element, unsigned array);
  unsigned array_type_;
  std::uint32_t count_ = 0;
  bool has_null_ = false;
  std::string data_;
};

struct Statement {
  std::string sql;
  std::vector<Param> params = {};
  bool binary_results = false;
};

// "name", quoted so that the server takes it to the letter.
std::string quote_identifier(std::string_view name);
// 'text' as an SQL literal, for the few places that take no parameters.
std::string quote_literal(std::string_view value);

}  // namespace celeriac::pg
