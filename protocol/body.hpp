// The body of a task message: arguments and the canvas embedded beside them.
#pragma once

#include "protocol/embed.hpp"
#include "protocol/json.hpp"
#include "protocol/message.hpp"

namespace celeriac {

struct Body {
  Json args = Json::array();     // always an array
  Json kwargs = Json::object();  // always an object
  Embed embed;                   // callbacks, errbacks, chain, chord
};

// Decompresses, deserializes (json, yaml, msgpack as `accept` allows; pickle never) and
// checks the shape. Kombu's {"__type__", "__value__"} objects stay as they are in the
// Json, so that what goes through a task comes out unchanged; an unknown tag is an error.
tl::expected<Body, Refused> read_body(const Message& message, const TaskHeaders& headers,
                                      const std::vector<std::string>& accept);

// The body is JSON text of protocol 2 as it stands: nothing to decompress, convert or verify.
bool is_plain_json(const Message& message, const TaskHeaders& headers);

// Protocol 2 body in JSON: [args, kwargs, embed], four embed keys, Python's bytes.
std::string write_body(const Body& body);

// What protocol/message.hpp's headers look like on the wire, in Python's key order.
// `extra` is a JSON object merged flat at the end (user headers), or null.
std::string write_headers(const TaskHeaders& headers, const Json& extra = nullptr);

}  // namespace celeriac
