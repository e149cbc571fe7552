#include "worker/errors.hpp"

#include "protocol/repr.hpp"

#include <utility>

namespace celeriac {
namespace {

ExceptionInfo make_info(std::string type, const Json& args, std::string module) {
  return {std::move(type), std::move(module), dump_json(args.is_array() ? args : Json::array({args}))};
}

}  // namespace

TaskError::TaskError(std::string type, Json args, std::string module)
    : TaskError(make_info(std::move(type), args, std::move(module))) {}

TaskError::TaskError(ExceptionInfo info)
    : std::runtime_error(exception_message(info)), info_(std::move(info)) {}

BadArguments::BadArguments(const std::string& what) : TaskError("TypeError", Json::array({what})) {}

SoftTimeLimitExceeded::SoftTimeLimitExceeded()
    : TaskError("SoftTimeLimitExceeded", Json::array(), "billiard.exceptions") {}

std::string exception_message(const ExceptionInfo& exception) {
  const auto args = parse_json(exception.args);
  if (!args || !args->is_array()) return exception.args;
  if (args->empty()) return {};
  if (args->size() > 1) return python_args_repr(*args, 0);
  const Json& only = args->front();
  return only.is_string() ? only.get<std::string>() : python_repr(only, 0);
}

std::string exception_line(const ExceptionInfo& exception) {
  std::string line = exception.module == "builtins" ? "" : exception.module + ".";
  line += exception.type;
  const std::string message = exception_message(exception);
  if (!message.empty()) line += ": " + message;
  return line;
}

}  // namespace celeriac
