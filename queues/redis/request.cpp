#include "queues/redis/request.hpp"

#include <charconv>

namespace celeriac::redis {
namespace {

void append_number(std::string& out, char mark, std::uint64_t value) {
  char digits[24];
  digits[0] = mark;
  char* end = std::to_chars(digits + 1, digits + 21, value).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(digits, end);
}

}  // namespace

Request& Request::begin(std::size_t count) {
  append_number(bytes_, '*', count);
  ++commands_;
  return *this;
}

Request& Request::arg(std::string_view text) {
  append_number(bytes_, '$', text.size());
  bytes_.append(text);
  bytes_.append("\r\n", 2);
  return *this;
}

Request& Request::arg(std::initializer_list<std::string_view> pieces) {
  std::size_t size = 0;
  for (auto piece : pieces) size += piece.size();
  append_number(bytes_, '$', size);
  for (auto piece : pieces) bytes_.append(piece);
  bytes_.append("\r\n", 2);
  return *this;
}

Request& Request::number(std::int64_t value) {
  char digits[24];
  char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return arg(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

}  // namespace celeriac::redis
