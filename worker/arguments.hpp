// Turns a task message's args and kwargs into the arguments of a C++ function.
// (Conversions, defaults and error texts: see the owner's implementation.)
#pragma once

#include "worker/context.hpp"

#include <functional>

namespace celeriac {

template <class R, class... Args>
std::function<Json(Context&, const Json&, const Json&)> bind_arguments(R (*fn)(Context&, Args...),
                                                                       const TaskOptions& options);

}  // namespace celeriac
