// A task message: what a producer sent, freed from the transport that carried it.
//
// Message is the transport-neutral form that brokers hand over and accept. TaskHeaders
// is protocol 2's header map in typed form; a protocol 1 body is translated into it.
// Nothing here decodes arguments: the pool slot does that (protocol/body.hpp), so the
// worker's loop never pays for them.
#pragma once

#include "protocol/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

// AMQP's basic properties as far as Celery uses them; on Redis they are the
// envelope's `properties` object.
struct Properties {
  std::string correlation_id;
  std::string reply_to;
  std::string delivery_tag;  // kombu's, chosen by the publisher; empty on AMQP
  std::string exchange;      // delivery_info
  std::string routing_key;   // delivery_info
  std::string expiration;    // milliseconds in text, or empty
  std::string app_id;
  std::optional<int> priority;
  int delivery_mode = 2;
  bool redelivered = false;  // delivery_info.redelivered
};

struct Message {
  std::string headers = "{}";  // JSON text of the header object, exactly as received
  std::string body;            // serialized bytes, still compressed; no base64
  std::string content_type = "application/json";
  std::string content_encoding = "utf-8";
  Properties properties;
};

enum class Protocol : std::uint8_t { v1 = 1, v2 = 2 };

struct TaskHeaders {
  Protocol protocol = Protocol::v2;
  std::string id;
  std::string task;
  std::string lang;
  std::string shadow;
  std::string root_id;
  std::string parent_id;
  std::string group;
  std::optional<std::int64_t> group_index;
  std::int64_t retries = 0;
  std::optional<double> eta;           // Unix time in seconds; naive values are UTC
  std::optional<double> expires;       // Unix time in seconds
  std::string eta_text, expires_text;  // as received, for events and retries; empty when null
  std::optional<double> time_limit;    // seconds, hard
  std::optional<double> soft_time_limit;
  std::string argsrepr, kwargsrepr;  // empty in protocol 1
  std::string origin;
  std::string compression;
  std::optional<bool> ignore_result;
  std::int64_t replaced_task_nesting = 0;
  std::string stamps;           // JSON text of the object, empty when absent
  std::string stamped_headers;  // JSON text of the array, empty when absent or null

  // The name shown in logs and events.
  const std::string& display_name() const { return shadow.empty() ? task : shadow; }
};

// Why a message cannot become a task; decides how it is settled (behaviour.md 1.3 in
// the reference notes, docs/compatibility.md here).
enum class Refusal : std::uint8_t {
  unknown_message,  // no task name anywhere
  invalid_task,     // bad eta/expires, no id, refused content type, ...
  undecodable,      // body or envelope cannot be read
};

struct Refused {
  Refusal why = Refusal::undecodable;
  std::string cause;          // for the log and the dead letter
  std::string task_id, task;  // when known
};

// Reads the headers of a message of either protocol. For protocol 1 and hybrid forms
// the body is decoded (`accept` applies) because the task's name is in it.
// `accept` holds content types, e.g. "application/json".
tl::expected<TaskHeaders, Refused> read_task(const Message& message, const std::vector<std::string>& accept);

}  // namespace celeriac
