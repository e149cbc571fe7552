#include "worker/control/mailbox.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <regex>

namespace celeriac {
namespace {

// A pattern comes from anybody who can reach the broker: its length bounds the matcher's recursion.
constexpr std::size_t longest_pattern = 256;

bool matches(const std::string& node, const std::string& pattern, const std::string& matcher) {
  if (pattern.size() > longest_pattern || node.size() > longest_pattern) return false;
  if (matcher == "glob") return ::fnmatch(pattern.c_str(), node.c_str(), 0) == 0;
  if (matcher != "pcre") return false;
  try {
    return std::regex_search(node, std::regex(pattern), std::regex_constants::match_continuous);
  } catch (const std::regex_error&) {
    return false;  // the sender's mistake: nobody matches
  }
}

std::string text(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t clock_of(const Message& message, Json* headers_out = nullptr) {
  auto headers = parse_json(message.headers);
  if (!headers || !headers->is_object()) return 0;
  const auto found = headers->find("clock");
  const std::uint64_t clock =
      found != headers->end() && found->is_number_integer() && *found > 0 ? found->get<std::uint64_t>() : 0;
  if (headers_out) *headers_out = std::move(*headers);
  return clock;
}

Expected<Json> read_object(const Message& message) {
  if (message.content_type != "application/json") {
    return unexpected("content type " + message.content_type + " is not accepted here");
  }
  auto body = parse_json(message.body);
  if (body && !body->is_object()) return unexpected("no JSON object");
  return body;
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

std::string mailbox_queue(std::string_view node) {
  return std::string(node) + "." + std::string(control_exchange);
}

std::string reply_queue(std::string_view routing_key) {
  return std::string(routing_key) + "." + std::string(reply_exchange);
}

Expected<ControlRequest> read_control_request(const Message& message) {
  auto body = read_object(message);
  if (!body) return tl::unexpected(body.error());
  ControlRequest request;
  request.method = text(*body, "method");
  if (request.method.empty()) return unexpected("no method is named");
  if (const auto given = body->find("arguments"); given != body->end() && !given->is_null()) {
    request.arguments = *given;
  }
  if (const auto given = body->find("destination"); given != body->end() && given->is_array()) {
    for (const Json& node : *given) {
      if (node.is_string()) request.destination.push_back(node.get<std::string>());
    }
  }
  request.pattern = text(*body, "pattern");
  request.matcher = text(*body, "matcher");
  request.ticket = text(*body, "ticket");
  if (const auto given = body->find("reply_to"); given != body->end() && given->is_object()) {
    request.reply_to_exchange = text(*given, "exchange");
    request.reply_to_key = text(*given, "routing_key");
  }
  request.clock = clock_of(message);
  return request;
}

bool is_for(const ControlRequest& request, const std::string& node) {
  if (!request.destination.empty()) {
    return std::find(request.destination.begin(), request.destination.end(), node) !=
           request.destination.end();
  }
  if (!request.pattern.empty() && !request.matcher.empty()) {
    return matches(node, request.pattern, request.matcher);
  }
  return true;
}

Message write_control_request(const ControlRequest& request, double expires) {
  Json body = Json::object();
  body["method"] = request.method;
  body["arguments"] = request.arguments;
  body["destination"] = request.destination.empty() ? Json(nullptr) : Json(request.destination);
  body["pattern"] = or_null(request.pattern);
  body["matcher"] = or_null(request.matcher);
  if (!request.reply_to_key.empty()) {
    body["ticket"] = request.ticket;
    body["reply_to"] = {{"exchange", request.reply_to_exchange}, {"routing_key", request.reply_to_key}};
  }
  Json headers = Json::object();
  headers["clock"] = request.clock;
  headers["expires"] = expires > 0 ? Json(expires) : Json(0);
  Message message;
  message.headers = dump_json(headers);
  message.body = dump_json(body);
  message.properties.exchange = control_exchange;
  return message;
}

Message write_control_reply(const ControlReply& reply, const ControlRequest& request) {
  Json headers = Json::object();
  headers["ticket"] = reply.ticket;
  headers["clock"] = reply.clock;
  Json body = Json::object();
  body[reply.node] = reply.value;
  Message message;
  message.headers = dump_json(headers);
  message.body = dump_json(body);
  message.properties.exchange = request.reply_to_exchange;
  message.properties.routing_key = request.reply_to_key;
  message.properties.delivery_mode = 1;
  return message;
}

Expected<ControlReply> read_control_reply(const Message& message) {
  auto body = read_object(message);
  if (!body) return tl::unexpected(body.error());
  if (body->size() != 1) return unexpected("a reply of one node was expected");
  ControlReply reply;
  Json headers = Json::object();
  reply.clock = clock_of(message, &headers);
  reply.ticket = text(headers, "ticket");
  reply.node = body->begin().key();
  reply.value = std::move(body->begin().value());
  return reply;
}

}  // namespace celeriac
