#include "protocol/body.hpp"

#include "protocol/body_reader.hpp"
#include "protocol/tagged.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace celeriac {
namespace {

constexpr std::string_view embed_keys[] = {"callbacks", "errbacks", "chain", "chord"};

bool is_embed_key(std::string_view key) {
  return std::find(std::begin(embed_keys), std::end(embed_keys), key) != std::end(embed_keys);
}

Json* member(Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

// The four keys first and always, whatever else a producer has added behind them.
Json complete_embed(Json embed) {
  Json out = Json::object();
  auto& members = out.get_ref<Json::object_t&>();
  members.reserve(embed.size() + 4);
  for (const auto key : embed_keys) {
    Json* value = member(embed, key);
    members.emplace_back(key, value ? std::move(*value) : Json());
  }
  for (auto& [key, value] : embed.get_ref<Json::object_t&>()) {
    if (!is_embed_key(key)) members.emplace_back(key, std::move(value));
  }
  return out;
}

void write_embed(const Json& embed, std::string& out) {
  static const Json none = nullptr;
  const char* separator = "{";
  const auto write = [&](std::string_view key, const Json& value) {
    out += std::exchange(separator, ", ");
    dump_json_string(key, out);
    out += ": ";
    dump_json(value, out);
  };
  for (const auto key : embed_keys) {
    const auto found = embed.find(key);
    write(key, found == embed.end() ? none : *found);
  }
  if (embed.is_object()) {
    for (const auto& [key, value] : embed.get_ref<const Json::object_t&>()) {
      if (!is_embed_key(key)) write(key, value);
    }
  }
  out += '}';
}

Expected<Body> body_of_array(Json value) {
  if (value.size() != 3) return unexpected("body has " + std::to_string(value.size()) + " elements, not 3");
  if (!value[0].is_array()) return unexpected("body: args are no array");
  if (!value[1].is_object()) return unexpected("body: kwargs are no object");
  if (!value[2].is_object() && !value[2].is_null()) return unexpected("body: embed is no object");
  Body body;
  body.args = std::move(value[0]);
  body.kwargs = std::move(value[1]);
  body.embed = complete_embed(value[2].is_null() ? Json::object() : std::move(value[2]));
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
  for (const auto key : embed_keys) {
    if (Json* part = member(value, key)) embed[key] = std::move(*part);
  }
  body.embed = complete_embed(std::move(embed));
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
  write_embed(body.embed, out);
  out += ']';
  return out;
}

}  // namespace celeriac
