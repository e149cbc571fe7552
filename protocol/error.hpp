// How celeriac says that input from outside is bad. Such input is expected, so
// it is a value, never an exception: the one caller decides what to refuse.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace celeriac {

// `what` names the thing that is wrong ("header 'eta'", "body", "--time-limit") and why.
struct Error {
  std::string what;
};

template <class T>
using Expected = tl::expected<T, Error>;

inline tl::unexpected<Error> unexpected(std::string what) {
  return tl::unexpected<Error>(Error{std::move(what)});
}

}  // namespace celeriac
