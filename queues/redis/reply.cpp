#include "queues/redis/reply.hpp"

#include <hiredis/hiredis.h>
#include <charconv>

namespace celeriac::redis {

bool Reply::is_error() const { return reply_ && reply_->type == REDIS_REPLY_ERROR; }
bool Reply::is_nil() const { return reply_ && reply_->type == REDIS_REPLY_NIL; }
bool Reply::is_array() const { return reply_ && reply_->type == REDIS_REPLY_ARRAY; }
bool Reply::is_integer() const { return reply_ && reply_->type == REDIS_REPLY_INTEGER; }
bool Reply::is_string() const {
  return reply_ && (reply_->type == REDIS_REPLY_STRING || reply_->type == REDIS_REPLY_STATUS);
}

std::string_view Reply::text() const {
  if (!is_string() && !is_error()) return {};
  return {reply_->str, reply_->len};
}

std::int64_t Reply::integer() const {
  if (is_integer()) return reply_->integer;
  std::int64_t value = 0;
  auto digits = text();
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::size_t Reply::size() const { return is_array() ? reply_->elements : 0; }

Reply Reply::operator[](std::size_t index) const { return Reply(reply_->element[index]); }

std::string Reply::problem() const {
  if (lost()) return "connection lost";
  return is_error() ? std::string(text()) : std::string();
}

}  // namespace celeriac::redis
