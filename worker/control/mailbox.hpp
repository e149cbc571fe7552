// The messages of remote control (kombu's pidbox): reading a request, deciding whether it is for us,
// and writing requests and replies. Pure.
#pragma once

#include "protocol/json.hpp"
#include "protocol/message.hpp"

#include <optional>
#include <string>
#include <vector>

namespace celeriac {

inline constexpr std::string_view control_exchange = "celery.pidbox";
inline constexpr std::string_view reply_exchange = "reply.celery.pidbox";

std::string mailbox_queue(std::string_view node);       // <node>.celery.pidbox
std::string reply_queue(std::string_view routing_key);  // <key>.reply.celery.pidbox

struct ControlRequest {
  std::string method;
  Json arguments = Json::object();
  std::vector<std::string> destination;  // empty: everybody
  std::string pattern, matcher;          // both set: nodes whose name matches; "glob" or "pcre"
  std::string ticket;
  std::string reply_to_exchange, reply_to_key;  // empty: no reply is wanted
  std::uint64_t clock = 0;                      // the sender's
};

Expected<ControlRequest> read_control_request(const Message& message);
bool is_for(const ControlRequest& request, const std::string& node);

// `expires`: Unix seconds, 0: never.
Message write_control_request(const ControlRequest& request, double expires);

struct ControlReply {
  std::string node;
  Json value;
  std::string ticket;
  std::uint64_t clock = 0;
};
Message write_control_reply(const ControlReply& reply, const ControlRequest& request);
Expected<ControlReply> read_control_reply(const Message& message);

}  // namespace celeriac
