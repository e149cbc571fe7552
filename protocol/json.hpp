// Json is the value type of arguments, results and documents, and the reader and
// writer here are Python's json module to the byte: separators ", " and ": ",
// ASCII output, NaN and Infinity bare, floats in Python's repr form, integers of any
// length. nlohmann's own parser and dump() are not used for wire data: they turn
// 2**64 into a double and NaN into null.
//
// Objects keep the order in which they were read; a repeated key keeps its last value.
// Integers beyond 64 bits live in a Json of type `binary` with subtype `big_integer`,
// holding the decimal digits; nothing else uses the binary type.
#pragma once

#include "protocol/error.hpp"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace celeriac {

using Json = nlohmann::ordered_json;

// What a reader accepts. The defaults bound anything that came off a socket.
struct JsonLimits {
  std::size_t max_bytes = 512u << 20;  // Redis's own limit for one value
  std::size_t max_depth = 512;         // Python's json gives up near 1000
};

// Reads one JSON text in UTF-8 (a byte order mark is refused, as by Python). The
// error names the byte offset.
Expected<Json> parse_json(std::string_view text, JsonLimits limits = {});

// Writes as Python's json.dumps(value) does. Strings hold UTF-8; a lone surrogate that the reader met as an
// escape ("\ud800") is kept as three bytes and written as that escape; what else is broken, as U+FFFD.
std::string dump_json(const Json& value);
void dump_json(const Json& value, std::string& out);
void dump_json_string(std::string_view utf8, std::string& out);  // with quotes and escapes
std::string python_float(double value);                          // repr(float): 1.0, 1e+16, nan, inf

constexpr std::uint64_t big_integer_subtype = 1;
Json big_integer(std::string_view digits);  // "-?[0-9]+", beyond 64 bits
bool is_big_integer(const Json& value);
std::string big_integer_digits(const Json& value);

}  // namespace celeriac

// Compiled once, in json_type.cpp, instead of in every file that holds a Json: a sixth of each file's build
// time.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;
