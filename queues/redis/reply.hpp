// A look at one answer of the server. The memory belongs to the Connection and is
// gone when the handler returns: copy what is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

struct redisReply;

namespace celeriac::redis {

class Reply {
 public:
  explicit Reply(const redisReply* reply) : reply_(reply) {}

  // The connection went away before the answer came. The command may or may not have
  // been carried out.
  bool lost() const { return reply_ == nullptr; }
  bool is_error() const;  // the server's "-ERR ..."; text() is the line without '-'
  bool ok() const { return !lost() && !is_error(); }
  bool is_nil() const;
  bool is_array() const;
  bool is_string() const;  // bulk or simple
  bool is_integer() const;

  std::string_view text() const;              // empty unless string or error
  std::int64_t integer() const;               // also of a string of digits; else 0
  std::size_t size() const;                   // elements of an array, else 0
  Reply operator[](std::size_t index) const;  // index < size()

  // What went wrong, for a log line: "connection lost" or the server's text; empty when ok().
  std::string problem() const;

 private:
  const redisReply* reply_;
};

}  // namespace celeriac::redis
