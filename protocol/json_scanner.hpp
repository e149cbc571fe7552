// A forward scanner over JSON text: the caller asks for what it expects next, and nothing is
// built that it does not ask for. Everything passed over is still checked to be well-formed
// (RFC 8259 plus Python's NaN and Infinity, strict UTF-8), so a slice handed out is valid JSON.
//
//   JsonScanner in(text);
//   if (in.enter_object())
//     while (in.next_key(key)) key == "id" ? in.read_string(id) : in.skip_value();
//   if (!in.finish()) return unexpected(in.error());
//
// After the first failure every call returns false and error() says what and where.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace celeriac {

// A string as it stands in the text, without its quotes.
struct JsonSlice {
  std::string_view text;
  bool escaped = false;  // holds backslash escapes

  void append_to(std::string& out) const;
};

class JsonScanner {
 public:
  static constexpr std::size_t depth_limit = 512;

  explicit JsonScanner(std::string_view text);

  bool failed() const { return error_ != nullptr; }
  std::string error() const;    // "byte 17: expected ','"
  bool fail(const char* what);  // always false; the first one is kept
  const char* position() const { return at_; }

  // The first character of the next value, or 0 at the end of the text.
  char peek();

  bool enter_object();
  bool next_key(std::string_view& key);  // false at the closing brace, or failed(); valid until the next call
  bool next_key(JsonSlice& key);
  bool enter_array();
  bool next_element();  // false at the closing bracket, or failed()

  bool read_string(JsonSlice& slice);
  bool read_string(std::string& out);  // replaces `out`
  bool read_literal(std::string_view word);
  bool read_null() {
    return peek() == 'n' && read_literal("null");
  }  // true when null was there and is passed
  bool read_bool(bool& value);
  bool read_number(std::string_view& token, bool& integer);  // also NaN, Infinity, -Infinity
  bool skip_value();
  bool skip_value(std::string_view& text);

  // True when nothing but white space is left.
  bool finish();

 private:
  void skip_space();
  bool scan_string(JsonSlice& slice);
  bool skip_scalar();

  const char* at_;
  const char* const end_;
  const char* const begin_;
  const char* error_ = nullptr;
  std::size_t error_at_ = 0;
  bool first_ = true;  // no comma is due before the next key or element
  std::string key_;
};

}  // namespace celeriac
