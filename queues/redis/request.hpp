// Commands in the server's wire form (RESP), one after the other in one buffer.
//
//   Request r;
//   r.add("SET", key, value, "EX", 30);
//   r.begin(2 + tags.size()).arg("HDEL").arg(key);  // then one arg() per tag
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace celeriac::redis {

class Request {
 public:
  // Arguments: anything a string_view can be made of, or integers.
  template <class... Args>
  Request& add(const Args&... args) {
    begin(sizeof...(args));
    (arg(args), ...);
    return *this;
  }

  // A command of exactly `count` arguments (its name included), to be given by arg().
  Request& begin(std::size_t count);
  Request& arg(std::string_view text);
  // One argument of several pieces.
  Request& arg(std::initializer_list<std::string_view> pieces);
  template <class Int, class = std::enable_if_t<std::is_integral_v<Int>>>
  Request& arg(Int value) {
    return number(static_cast<std::int64_t>(value));
  }

  std::size_t commands() const { return commands_; }
  const std::string& bytes() const { return bytes_; }
  void reserve(std::size_t bytes) { bytes_.reserve(bytes); }
  std::string take_bytes() && { return std::move(bytes_); }
  bool empty() const { return commands_ == 0; }
  void clear() { bytes_.clear(), commands_ = 0; }

 private:
  Request& number(std::int64_t value);

  std::string bytes_;
  std::size_t commands_ = 0;
};

}  // namespace celeriac::redis
