#include "worker/control/arguments.hpp"

#include "protocol/repr.hpp"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstring>

namespace celeriac {
namespace {

const Json null_value;

std::string type_error(const std::string& text) { return exception_repr("TypeError", text); }

std::string quoted_list(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 < names.size() ? ", " : names.size() > 2 ? ", and " : " and ";
    text += fmt::format("'{}'", names[i]);
  }
  return text;
}

bool holds(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string exception_repr(std::string_view type, std::string_view text) {
  return fmt::format("{}({})", type, python_repr(Json(std::string(text)), 0));
}

bool CommandArguments::given(std::string_view name) const { return !(*this)[name].is_null(); }

const Json& CommandArguments::operator[](std::string_view name) const {
  if (!object_.is_object()) return null_value;
  const auto found = object_.find(name);
  return found == object_.end() ? null_value : *found;
}

std::string CommandArguments::text(std::string_view name, std::string_view otherwise) const {
  const Json& value = (*this)[name];
  if (value.is_null()) return std::string(otherwise);
  return value.is_string() ? value.get<std::string>() : dump_json(value);
}

bool CommandArguments::truth(std::string_view name) const {
  const Json& value = (*this)[name];
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  return !value.is_null() && !value.empty() &&
         !(value.is_string() && value.get_ref<const std::string&>().empty());
}

Expected<std::int64_t> CommandArguments::integer(std::string_view name, std::int64_t otherwise) const {
  const Json& value = (*this)[name];
  if (value.is_null()) return otherwise;
  if (value.is_number_integer()) return value.get<std::int64_t>();
  std::int64_t number = 0;
  const std::string given = text(name);
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), number);
  if (error == std::errc{} && end == given.data() + given.size()) return number;
  return unexpected(exception_repr("ValueError", fmt::format("{} must be a whole number", name)));
}

Expected<std::optional<double>> CommandArguments::seconds(std::string_view name) const {
  const Json& value = (*this)[name];
  if (value.is_null()) return std::nullopt;
  double number = -1;
  if (value.is_number()) {
    number = value.get<double>();
  } else {
    const std::string given = text(name);
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), number);
    if (error != std::errc{} || end != given.data() + given.size()) number = -1;
  }
  if (std::isfinite(number) && number >= 0) return number;
  return unexpected(exception_repr("ValueError", fmt::format("{} must be seconds, 0 or more", name)));
}

std::vector<std::string> CommandArguments::texts(std::string_view name) const {
  const Json& value = (*this)[name];
  if (value.is_null()) return {};
  if (!value.is_array()) return {text(name)};
  std::vector<std::string> out;
  for (const Json& one : value) {
    std::string text = one.is_string() ? one.get<std::string>() : dump_json(one);
    if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
  }
  return out;
}

Expected<bool> check_arguments(std::string_view command, const CommandSignature& signature,
                               const Json& given) {
  const bool none = given.is_null();
  if (!none && !given.is_object()) {
    return unexpected(type_error("argument after ** must be a mapping"));
  }
  if (!signature.open && !none) {
    for (const auto& [name, value] : given.items()) {
      if (holds(signature.required, name) || holds(signature.optional, name)) continue;
      return unexpected(
          type_error(fmt::format("{}() got an unexpected keyword argument '{}'", command, name)));
    }
  }
  std::vector<std::string_view> missing;
  for (const std::string_view name : signature.required) {
    if (none || !given.contains(name)) missing.push_back(name);
  }
  if (missing.empty()) return true;
  return unexpected(
      type_error(fmt::format("{}() missing {} required positional argument{}: {}", command, missing.size(),
                             missing.size() == 1 ? "" : "s", quoted_list(missing))));
}

Expected<int> parse_signal(const Json& signal) {
  if (signal.is_null()) return SIGTERM;
  if (signal.is_number_integer()) {
    const auto number = signal.get<std::int64_t>();
    if (number > 0 && number < NSIG) return static_cast<int>(number);
  } else if (signal.is_string()) {
    const std::string& given = signal.get_ref<const std::string&>();
    if (given.empty()) return SIGTERM;
    const char* name = given.c_str();
    if (::strncasecmp(name, "SIG", 3) == 0) name += 3;
    for (int number = 1; number < NSIG; ++number) {
      const char* known = ::sigabbrev_np(number);
      if ((known && ::strcasecmp(known, name) == 0) || given == std::to_string(number)) return number;
    }
  }
  const std::string shown = signal.is_string() ? signal.get<std::string>() : dump_json(signal);
  return unexpected(exception_repr("ValueError", "no such signal: " + shown));
}

}  // namespace celeriac
