// Reading a message's headers, in one pass over their text. Only protocol 1 looks into the body:
// see protocol/task_fields.hpp for what both forms share.
#include "protocol/message.hpp"

#include "protocol/body_reader.hpp"
#include "protocol/compression.hpp"
#include "protocol/content_type.hpp"
#include "protocol/task_fields.hpp"

namespace celeriac {
namespace {

tl::unexpected<Refused> refuse(Refusal why, std::string cause, const TaskHeaders& headers) {
  return tl::unexpected<Refused>(Refused{why, std::move(cause), headers.id, headers.task});
}

// Protocol 2 puts an array there. An object holds protocol 1's fields, whatever the headers say.
bool body_is_object(const Message& message, const TaskHeaders& headers) {
  if (!headers.compression.empty() || message.content_type != content_type(Serializer::json)) return false;
  const auto first = message.body.find_first_not_of(" \t\r\n");
  return first != std::string::npos && message.body[first] == '{';
}

}  // namespace

tl::expected<TaskHeaders, Refused> read_task(const Message& message, const std::vector<std::string>& accept) {
  TaskHeaders headers;
  TaskFields fields(headers);
  bool has_task = false;
  if (auto error = fields.read(message.headers, has_task); !error.empty()) {
    return refuse(has_task ? Refusal::invalid_task : Refusal::unknown_message, std::move(error), headers);
  }
  const auto serializer = accepted_serializer(message.content_type, accept);
  if (!serializer) return refuse(Refusal::invalid_task, serializer.error().what, headers);
  if (!headers.compression.empty()) {
    const auto found = find_compression(headers.compression);
    if (!found) return refuse(Refusal::undecodable, found.error().what, headers);
  }
  if (!has_task || body_is_object(message, headers)) {
    const auto body = decode_body(message, headers.compression, *serializer);
    if (!body) return refuse(Refusal::undecodable, body.error().what, headers);
    const auto task = body->is_object() ? body->find("task") : body->end();
    const bool named =
        task != body->end() && task->is_string() && !task->get_ref<const std::string&>().empty();
    if (!has_task && !named) {
      return refuse(Refusal::unknown_message, "no task name in the headers or the body", headers);
    }
    // The headers of the message win where both have a value.
    TaskHeaders merged;
    TaskFields both(merged);
    if (auto error = both.read_v1(*body); !error.empty())
      return refuse(Refusal::invalid_task, std::move(error), merged);
    if (auto error = both.read(message.headers, has_task); !error.empty()) {
      return refuse(Refusal::invalid_task, std::move(error), merged);
    }
    headers = std::move(merged);
    headers.protocol = has_task ? Protocol::v2 : Protocol::v1;
  }
  if (headers.task.empty()) return refuse(Refusal::unknown_message, "header 'task' is empty", headers);
  if (headers.id.empty()) return refuse(Refusal::invalid_task, "no task id", headers);
  return headers;
}

}  // namespace celeriac
