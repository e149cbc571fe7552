// Arguments of a command, read as Python would bind keywords: what is missing or not known is a TypeError in
// Python's words, because that is what clients print.
#pragma once

#include "protocol/error.hpp"
#include "protocol/json.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

class CommandArguments {
 public:
  explicit CommandArguments(const Json& object) : object_(object) {}

  bool given(std::string_view name) const;              // and not null
  const Json& operator[](std::string_view name) const;  // null when not given
  std::string text(std::string_view name, std::string_view otherwise = {}) const;
  bool truth(std::string_view name) const;  // Python's
  // A whole number, or the text of one.
  Expected<std::int64_t> integer(std::string_view name, std::int64_t otherwise) const;
  Expected<std::optional<double>> seconds(std::string_view name) const;  // 0 or more
  // A text or a list of them.
  std::vector<std::string> texts(std::string_view name) const;
  const Json& object() const { return object_; }

 private:
  const Json& object_;
};

// Checks names. `open`: further ones are welcome. The Error is Python's repr of the exception.
struct CommandSignature {
  std::vector<std::string_view> required, optional;
  bool open = true;
};
Expected<bool> check_arguments(std::string_view command, const CommandSignature& signature,
                               const Json& given);

// repr() of an exception with one text argument: ValueError('x').
std::string exception_repr(std::string_view type, std::string_view text);

// A signal by its name, with or without SIG, or by its number.
Expected<int> parse_signal(const Json& signal);

}  // namespace celeriac
