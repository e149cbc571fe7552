#include "protocol/body.hpp"

#include "protocol/body_reader.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/tagged.hpp"

#include <optional>
#include <utility>

namespace celeriac {
namespace {

Json* member(Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Expected<Body> body_of_array(Json value) {
  if (value.size() != 3) return unexpected("body has " + std::to_string(value.size()) + " elements, not 3");
  if (!value[0].is_array()) return unexpected("body: args are no array");
  if (!value[1].is_object()) return unexpected("body: kwargs are no object");
  if (!value[2].is_object() && !value[2].is_null()) return unexpected("body: embed is no object");
  Body body;
  body.args = std::move(value[0]);
  body.kwargs = std::move(value[1]);
  if (value[2].is_object()) body.embed = Embed::from(value[2]);
  return body;
}

// Protocol 1: one object with everything in it.
Expected<Body> body_of_object(Json value) {
  Body body;
  if (Json* args = member(value, "args")) {
    if (!args->is_array()) return unexpected("body: args are no array");
    body.args = std::move(*args);
  }
  if (Json* kwargs = member(value, "kwargs")) {
    if (!kwargs->is_object()) return unexpected("body: kwargs are no object");
    body.kwargs = std::move(*kwargs);
  }
  Json embed = Json::object();
  for (const char* key : {"callbacks", "errbacks", "chain", "chord"}) {
    if (Json* part = member(value, key)) embed[key] = std::move(*part);
  }
  body.embed = Embed::from(embed);
  return body;
}

// A body of the usual shape without tagged values, of which only the arguments are read. Nothing: read it the
// long way, which says what is wrong with it.
std::optional<Body> read_plain(std::string_view text) {
  if (text.find("\"__type__\"") != text.npos) return std::nullopt;
  JsonScanner in(text);
  Body body;
  if (!in.enter_array() || !in.next_element() || !read_json(in, body.args) || !body.args.is_array() ||
      !in.next_element() || !read_json(in, body.kwargs) || !body.kwargs.is_object() || !in.next_element())
    return std::nullopt;
  auto embed = Embed::read(in);
  if (!embed || in.next_element() || !in.finish()) return std::nullopt;
  body.embed = std::move(*embed);
  return body;
}

}  // namespace

tl::expected<Body, Refused> read_body(const Message& message, const TaskHeaders& headers,
                                      const std::vector<std::string>& accept) {
  const auto refuse = [&](Refusal why, std::string cause) {
    return tl::unexpected<Refused>(Refused{why, std::move(cause), headers.id, headers.task});
  };
  const auto serializer = accepted_serializer(message.content_type, accept);
  if (!serializer) return refuse(Refusal::invalid_task, serializer.error().what);
  if (is_plain_json(message, headers)) {
    if (auto body = read_plain(message.body)) return std::move(*body);
  }
  auto value = decode_body(message, headers.compression, *serializer);
  if (!value) return refuse(Refusal::undecodable, "body: " + value.error().what);
  // Only kombu's JSON gives these objects a meaning.
  if (*serializer == Serializer::json) {
    if (const auto tags = check_tags(*value); !tags)
      return refuse(Refusal::undecodable, "body: " + tags.error().what);
  }
  Expected<Body> body = value->is_array()    ? body_of_array(std::move(*value))
                        : value->is_object() ? body_of_object(std::move(*value))
                                             : unexpected("body is neither an array nor an object");
  if (!body) return refuse(Refusal::invalid_task, body.error().what);
  return std::move(*body);
}

bool is_plain_json(const Message& message, const TaskHeaders& headers) {
  return headers.protocol == Protocol::v2 && headers.compression.empty() &&
         message.content_type == "application/json" && message.content_encoding == "utf-8";
}

std::string write_body(const Body& body) {
  std::string out = "[";
  dump_json(body.args, out);
  out += ", ";
  dump_json(body.kwargs, out);
  out += ", ";
  body.embed.write(out);
  out += ']';
  return out;
}

}  // namespace celeriac
