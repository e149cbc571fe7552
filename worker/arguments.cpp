#include "worker/arguments.hpp"

#include "protocol/repr.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace celeriac {
namespace {

// Python names the function, not the task: the last part of "shop.math.add".
std::string call(std::string_view task) {
  if (task.empty()) return "task()";  // asked about, not called
  return std::string(task.substr(task.rfind('.') == task.npos ? 0 : task.rfind('.') + 1)) + "()";
}

std::string_view python_type(const Json& value) {
  if (is_big_integer(value)) return "int";
  switch (value.type()) {
    case Json::value_t::null:
      return "None";
    case Json::value_t::boolean:
      return "bool";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "int";
    case Json::value_t::number_float:
      return "float";
    case Json::value_t::string:
      return "str";
    case Json::value_t::array:
      return "list";
    default:
      return "dict";
  }
}

}  // namespace

Parameters::Parameters(const TaskOptions& options, const std::vector<bool>& may_be_absent) {
  const std::size_t arity = may_be_absent.size();
  named_ = !options.params.empty();
  if (named_ && options.params.size() != arity)
    throw std::logic_error("a task's params must name each argument after Context");
  for (std::size_t i = 0; i < arity; ++i) {
    Parameter parameter;
    parameter.name = named_ ? options.params[i] : "argument " + std::to_string(i + 1);
    parameter.may_be_absent = may_be_absent[i];
    if (const auto found = options.defaults.find(parameter.name); named_ && found != options.defaults.end())
      parameter.fallback = found->second;
    parameters_.push_back(std::move(parameter));
  }
  for (const auto& [name, value] : options.defaults) {
    if (std::find(options.params.begin(), options.params.end(), name) == options.params.end())
      throw std::logic_error("a task has a default for '" + name + "', which is none of its params");
  }
}

std::vector<const Json*> Parameters::match(std::string_view task, const Json& args,
                                           const Json& kwargs) const {
  std::vector<const Json*> values(parameters_.size(), nullptr);
  const std::size_t positional = std::min(args.size(), parameters_.size());
  for (std::size_t i = 0; i < positional; ++i) values[i] = &args[i];
  for (const auto& [key, value] : kwargs.items()) {
    const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                    [&k = key](const Parameter& p) { return p.name == k; });
    if (!named_ || found == parameters_.end())
      throw BadArguments(call(task) + " got an unexpected keyword argument '" + key + "'");
    const Json*& slot = values[static_cast<std::size_t>(found - parameters_.begin())];
    if (slot) throw BadArguments(call(task) + " got multiple values for argument '" + key + "'");
    slot = &value;
  }
  if (args.size() > parameters_.size()) refuse_count(task, args.size());
  bool complete = true;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!values[i] && parameters_[i].fallback) values[i] = &*parameters_[i].fallback;
    complete = complete && (values[i] || !parameters_[i].required());
  }
  if (!complete) refuse_missing(task, values);
  return values;
}

void Parameters::refuse_count(std::string_view task, std::size_t given) const {
  const auto required =
      std::count_if(parameters_.begin(), parameters_.end(), [](const Parameter& p) { return p.required(); });
  const std::size_t all = parameters_.size();
  std::string text = call(task) + " takes ";
  if (static_cast<std::size_t>(required) != all) text += "from " + std::to_string(required) + " to ";
  text += std::to_string(all) + (all == 1 ? " positional argument but " : " positional arguments but ");
  text += std::to_string(given) + (given == 1 ? " was given" : " were given");
  throw BadArguments(text);
}

void Parameters::refuse_missing(std::string_view task, const std::vector<const Json*>& values) const {
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!values[i] && parameters_[i].required()) missing.push_back("'" + parameters_[i].name + "'");
  std::string text =
      call(task) + " missing " + std::to_string(missing.size()) +
      (missing.size() == 1 ? " required positional argument: " : " required positional arguments: ");
  for (std::size_t i = 0; i < missing.size(); ++i) {
    if (i > 0) text += missing.size() > 2 ? ", " : " ";
    if (i > 0 && i + 1 == missing.size()) text += "and ";
    text += missing[i];
  }
  throw BadArguments(text);
}

std::vector<Argument> Parameters::describe(const TaskOptions& options, std::vector<Json> schemas) const {
  std::vector<Argument> out;
  for (std::size_t i = 0; named_ && i < parameters_.size(); ++i) {
    const auto& parameter = parameters_[i];
    const auto told = options.schemas.find(parameter.name);
    Argument argument{parameter.name, told == options.schemas.end() ? std::move(schemas[i]) : told->second,
                      parameter.required()};
    if (parameter.fallback) argument.schema["default"] = *parameter.fallback;
    out.push_back(std::move(argument));
  }
  return out;
}

namespace arguments {

Json integer_schema(std::int64_t min, std::uint64_t max) {
  return Json{{"type", "integer"}, {"minimum", min}, {"maximum", max}};
}

Json or_null(Json schema) {
  if (schema.empty()) return schema;  // anything
  return Json{{"anyOf", Json::array({std::move(schema), Json{{"type", "null"}}})}};
}

ArgumentFault fault_at(const Json& args, std::size_t i, const std::string& name, const char* what) {
  return {i < args.size() ? "/args/" + std::to_string(i) : "/kwargs/" + name, what};
}

void refuse(const ArgumentPlace& at, std::string_view wanted, const Json& value) {
  throw BadArguments(call(at.task) + " argument '" + std::string(at.name) + "' must be " +
                     std::string(wanted) + ", not " + std::string(python_type(value)));
}

void refuse_content(const ArgumentPlace& at, std::string_view why) {
  throw BadArguments(call(at.task) + " argument '" + std::string(at.name) + "': " + std::string(why));
}

bool take_bool(const Json& value, const ArgumentPlace& at) {
  if (!value.is_boolean()) refuse(at, "bool", value);
  return value.get<bool>();
}

double take_double(const Json& value, const ArgumentPlace& at) {
  if (is_big_integer(value)) return std::strtod(big_integer_digits(value).c_str(), nullptr);
  if (!value.is_number()) refuse(at, "float", value);
  return value.get<double>();
}

const std::string& take_string(const Json& value, const ArgumentPlace& at) {
  if (!value.is_string()) refuse(at, "str", value);
  return value.get_ref<const std::string&>();
}

std::int64_t take_integer(const Json& value, const ArgumentPlace& at, std::int64_t min, std::int64_t max) {
  if (!value.is_number_integer() && !is_big_integer(value)) refuse(at, "int", value);
  const bool too_big =
      is_big_integer(value) ||
      (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t(INT64_MAX)) ||
      value.get<std::int64_t>() < min || value.get<std::int64_t>() > max;
  if (too_big)
    refuse_content(
        at, python_repr(value) + " is not between " + std::to_string(min) + " and " + std::to_string(max));
  return value.get<std::int64_t>();
}

std::uint64_t take_unsigned(const Json& value, const ArgumentPlace& at, std::uint64_t max) {
  if (!value.is_number_integer() && !is_big_integer(value)) refuse(at, "int", value);
  const bool outside = is_big_integer(value) ||
                       (!value.is_number_unsigned() && value.get<std::int64_t>() < 0) ||
                       value.get<std::uint64_t>() > max;
  if (outside) refuse_content(at, python_repr(value) + " is not between 0 and " + std::to_string(max));
  return value.get<std::uint64_t>();
}

const Json& take_array(const Json& value, const ArgumentPlace& at) {
  if (!value.is_array()) refuse(at, "list", value);
  return value;
}

const Json& take_object(const Json& value, const ArgumentPlace& at) {
  if (!value.is_object()) refuse(at, "dict", value);
  return value;
}

}  // namespace arguments
}  // namespace celeriac
