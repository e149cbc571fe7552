// AMQP field tables (headers, arguments) as JSON text and back, with the field types that py-amqp uses.
//
// rabbitmq-c reads and writes the bytes; this only translates between its tables and our JSON.
#pragma once

#include "protocol/error.hpp"
#include "protocol/json.hpp"

#include <amqp.h>
#include <deque>
#include <string>
#include <vector>

namespace celeriac::amqp {

// Appends the table as one JSON object, written as Python's json does. False, with the reason in `problem`,
// when a text is not UTF-8 or the nesting is too deep; `out` is then of no use.
bool append_json(const amqp_table_t& table, std::string& out, std::string& problem);

// An AMQP table made from a JSON object. It points into itself and into nothing else.
class FieldTable {
 public:
  FieldTable() = default;
  FieldTable(const FieldTable&) = delete;
  FieldTable& operator=(const FieldTable&) = delete;

  // Replaces the content. The error names a key that is too long (255 bytes) or nesting that is too deep.
  Expected<void> assign(const Json& object);

  const amqp_table_t& table() const { return table_; }

 private:
  Expected<amqp_table_t> make_table(const Json& object, int depth);
  Expected<amqp_field_value_t> make_value(const Json& value, int depth);
  amqp_bytes_t keep(std::string text);

  // Deques: growing them moves nothing.
  std::deque<std::vector<amqp_table_entry_t>> entries_;
  std::deque<std::vector<amqp_field_value_t>> values_;
  std::deque<std::string> texts_;
  amqp_table_t table_{0, nullptr};
};

// Names and texts for calls; the memory stays the caller's.
inline amqp_bytes_t bytes(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};  // rabbitmq-c does not write to it
}
inline std::string_view view(amqp_bytes_t text) { return {static_cast<const char*>(text.bytes), text.len}; }

}  // namespace celeriac::amqp
