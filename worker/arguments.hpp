// Turns a task message's args and kwargs into the arguments of a C++ function, as a Python call
// would: by position, by name, or mixed, with defaults. What does not fit is a BadArguments
// with Python's own words, for the client sees it as TypeError.
//
// Conversions are strict: a number is no bool, a text is no number, integers must be in range. An
// integer may be given for a double. A std::optional takes null, or nothing at all. Vectors, maps
// and any type with a from_json (for Json or for nlohmann::json) work; Json takes anything. A type of the
// author's describes itself to callers with `static Json json_schema()`.
#pragma once

#include "protocol/json.hpp"
#include "worker/context.hpp"

#include <array>
#include <concepts>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace celeriac {

// One argument, as callers are told of it.
struct Argument {
  std::string name;
  Json schema;  // JSON Schema 2020-12
  bool required = false;
};

// What is wrong with arguments.
struct ArgumentFault {
  std::string pointer;  // RFC 6901, in {"args", "kwargs"}
  std::string what;
};

// What a task takes, for those who send it. Empty: nothing is known.
struct ArgumentRules {
  std::vector<Argument> arguments = {};
  std::function<std::vector<ArgumentFault>(const Json& args, const Json& kwargs)> check = {};
};

// The parameters of a task after Context: what they are called, which may be left out.
class Parameters {
 public:
  // Throws std::logic_error when the options' names and defaults are not those of `arity` parameters.
  Parameters(const TaskOptions& options, const std::vector<bool>& may_be_absent);

  // One value per parameter, pointing into the arguments or the defaults; null for an
  // absent one. Throws BadArguments.
  std::vector<const Json*> match(std::string_view task, const Json& args, const Json& kwargs) const;
  const std::string& name(std::size_t i) const { return parameters_[i].name; }
  // `schemas`: of each parameter's type.
  std::vector<Argument> describe(const TaskOptions& options, std::vector<Json> schemas) const;

 private:
  struct Parameter {
    std::string name;
    bool may_be_absent = false;
    std::optional<Json> fallback;
    bool required() const { return !may_be_absent && !fallback; }
  };
  [[noreturn]] void refuse_count(std::string_view task, std::size_t given) const;
  [[noreturn]] void refuse_missing(std::string_view task, const std::vector<const Json*>& values) const;

  std::vector<Parameter> parameters_;
  bool named_ = false;
};

// Where a value stands, for error texts.
struct ArgumentPlace {
  std::string_view task, name;
};

namespace arguments {

[[noreturn]] void refuse(const ArgumentPlace& at, std::string_view wanted, const Json& value);
[[noreturn]] void refuse_content(const ArgumentPlace& at, std::string_view why);
bool take_bool(const Json& value, const ArgumentPlace& at);
double take_double(const Json& value, const ArgumentPlace& at);
const std::string& take_string(const Json& value, const ArgumentPlace& at);
std::int64_t take_integer(const Json& value, const ArgumentPlace& at, std::int64_t min, std::int64_t max);
std::uint64_t take_unsigned(const Json& value, const ArgumentPlace& at, std::uint64_t max);
const Json& take_array(const Json& value, const ArgumentPlace& at);
const Json& take_object(const Json& value, const ArgumentPlace& at);

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T, class A>
inline constexpr bool is_vector<std::vector<T, A>> = true;
template <class T>
inline constexpr bool is_text_map = false;
template <class T, class C, class A>
inline constexpr bool is_text_map<std::map<std::string, T, C, A>> = true;
template <class T, class H, class E, class A>
inline constexpr bool is_text_map<std::unordered_map<std::string, T, H, E, A>> = true;

template <class T>
concept ReadableJson = requires(const Json& json) {
  json.get<T>();
};
template <class T>
concept WritableJson = nlohmann::detail::has_to_json<Json, T>::value;

template <class T>
T convert(const Json& value, const ArgumentPlace& at) {
  if constexpr (std::is_same_v<T, Json>) {
    return value;
  } else if constexpr (is_optional<T>) {
    if (value.is_null()) return std::nullopt;
    return convert<typename T::value_type>(value, at);
  } else if constexpr (std::is_same_v<T, bool>) {
    return take_bool(value, at);
  } else if constexpr (std::signed_integral<T>) {
    return static_cast<T>(
        take_integer(value, at, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  } else if constexpr (std::unsigned_integral<T>) {
    return static_cast<T>(take_unsigned(value, at, std::numeric_limits<T>::max()));
  } else if constexpr (std::floating_point<T>) {
    return static_cast<T>(take_double(value, at));
  } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
    return T(take_string(value, at));
  } else if constexpr (is_vector<T>) {
    T out;
    for (const Json& item : take_array(value, at)) out.push_back(convert<typename T::value_type>(item, at));
    return out;
  } else if constexpr (is_text_map<T>) {
    T out;
    for (const auto& [key, item] : take_object(value, at).items())
      out.emplace(key, convert<typename T::mapped_type>(item, at));
    return out;
  } else {
    try {
      if constexpr (ReadableJson<T>) {
        return value.get<T>();
      } else {
        return nlohmann::json(value).get<T>();
      }
    } catch (const TaskError&) {
      throw;
    } catch (const std::exception& e) {
      refuse_content(at, e.what());
    }
  }
}

Json integer_schema(std::int64_t min, std::uint64_t max);
Json or_null(Json schema);

// Of what convert<T>() takes.
template <class T>
Json schema_of() {
  if constexpr (is_optional<T>) {
    return or_null(schema_of<typename T::value_type>());
  } else if constexpr (std::is_same_v<T, bool>) {
    return Json{{"type", "boolean"}};
  } else if constexpr (std::integral<T>) {
    return integer_schema(static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                          static_cast<std::uint64_t>(std::numeric_limits<T>::max()));
  } else if constexpr (std::floating_point<T>) {
    return Json{{"type", "number"}};
  } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
    return Json{{"type", "string"}};
  } else if constexpr (is_vector<T>) {
    return Json{{"type", "array"}, {"items", schema_of<typename T::value_type>()}};
  } else if constexpr (is_text_map<T>) {
    return Json{{"type", "object"}, {"additionalProperties", schema_of<typename T::mapped_type>()}};
  } else if constexpr (requires { T::json_schema(); }) {
    return T::json_schema();
  } else {
    return Json::object();  // anything
  }
}

// Where argument `i` stands, by its place or its name.
ArgumentFault fault_at(const Json& args, std::size_t i, const std::string& name, const char* what);

template <class T>
T convert_or_absent(const Json* value, const ArgumentPlace& at) {
  if constexpr (is_optional<T>) {
    if (!value) return std::nullopt;
  }
  return convert<T>(*value, at);
}

template <class T>
Json to_result(T&& value) {
  using Value = std::decay_t<T>;
  if constexpr (std::is_same_v<Value, Json>) {
    return std::forward<T>(value);
  } else if constexpr (is_optional<Value>) {
    return value ? to_result(*std::forward<T>(value)) : Json(nullptr);
  } else if constexpr (WritableJson<Value>) {
    return Json(std::forward<T>(value));
  } else {
    return Json(nlohmann::json(std::forward<T>(value)));
  }
}

template <class F>
struct CallShape : CallShape<decltype(&F::operator())> {};
template <class R, class... Args>
struct CallShape<R (*)(Context&, Args...)> {
  using Result = R;
  using Values = std::tuple<std::decay_t<Args>...>;
};
template <class C, class R, class... Args>
struct CallShape<R (C::*)(Context&, Args...)> : CallShape<R (*)(Context&, Args...)> {};
template <class C, class R, class... Args>
struct CallShape<R (C::*)(Context&, Args...) const> : CallShape<R (*)(Context&, Args...)> {};

}  // namespace arguments

// `fn` is a function pointer or a function object, `R fn(Context&, Args...)`, called by several threads at
// once in the threads pool.
template <class F>
std::function<Json(Context&, const Json&, const Json&)> bind_arguments(F fn, const TaskOptions& options) {
  using Shape = arguments::CallShape<F>;
  using Values = typename Shape::Values;
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    Parameters parameters(options, {arguments::is_optional<std::tuple_element_t<I, Values>>...});
    return [fn = std::move(fn), parameters = std::move(parameters)](
               Context& context, [[maybe_unused]] const Json& args, [[maybe_unused]] const Json& kwargs) {
      const std::string& task = context.task();
      [[maybe_unused]] const std::vector<const Json*> given = parameters.match(task, args, kwargs);
      Values values{arguments::convert_or_absent<std::tuple_element_t<I, Values>>(
          given[I], ArgumentPlace{task, parameters.name(I)})...};
      if constexpr (std::is_void_v<typename Shape::Result>) {
        fn(context, std::get<I>(std::move(values))...);
        return Json(nullptr);
      } else {
        return arguments::to_result(fn(context, std::get<I>(std::move(values))...));
      }
    };
  }
  (std::make_index_sequence<std::tuple_size_v<Values>>());
}

// What `fn` takes under `options`; the check is that of a call, without the call.
template <class F>
ArgumentRules argument_rules(const F&, const TaskOptions& options) {
  using Values = typename arguments::CallShape<F>::Values;
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    Parameters parameters(options, {arguments::is_optional<std::tuple_element_t<I, Values>>...});
    ArgumentRules rules;
    rules.arguments =
        parameters.describe(options, {arguments::schema_of<std::tuple_element_t<I, Values>>()...});
    rules.check = [parameters = std::move(parameters)](const Json& args, const Json& kwargs) {
      std::vector<ArgumentFault> faults;
      try {
        [[maybe_unused]] const auto given = parameters.match("", args, kwargs);
        [[maybe_unused]] const auto look = [&]<class T>(std::size_t i, std::type_identity<T>) {
          try {
            (void)arguments::convert_or_absent<T>(given[i], ArgumentPlace{"", parameters.name(i)});
          } catch (const TaskError& fault) {
            faults.push_back(arguments::fault_at(args, i, parameters.name(i), fault.what()));
          }
        };
        (look(I, std::type_identity<std::tuple_element_t<I, Values>>()), ...);
      } catch (const TaskError& fault) {
        faults.push_back({"", fault.what()});
      }
      return faults;
    };
    return rules;
  }
  (std::make_index_sequence<std::tuple_size_v<Values>>());
}

}  // namespace celeriac
