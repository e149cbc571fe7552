#include "worker/dead_letter_notice.hpp"

#include "protocol/base64.hpp"
#include "protocol/envelope.hpp"
#include "worker/outgoing.hpp"

namespace celeriac {

bool keeps_dead_letters_of(std::string_view task) {
  for (const std::string_view prefix :
       {"celery.", "dead_letters.", "maintenance.", "app.workers.maintenance_tasks.",
        "app.workers.dlq_handlers.", "app.workers.health_check"}) {
    if (task.starts_with(prefix)) return false;
  }
  return true;
}

Outgoing dead_letter_notice(const DeadNotice& notice, const Message& message, const std::string& to_queue,
                            double now) {
  const Json letter = {{"category", notice.category},
                       {"cause", notice.cause},
                       {"exception", parse_json(notice.exception).value_or(nullptr)},
                       {"traceback", notice.traceback},
                       {"queue", notice.queue},
                       {"worker", notice.worker},
                       {"task", notice.task},
                       {"task_id", notice.task_id},
                       {"attempts", notice.attempts},
                       {"failed_at", now},
                       {"message", base64_encode(encode_envelope(message))}};
  TaskHeaders parent;
  parent.id = notice.task_id;
  parent.root_id = notice.task_id;
  SendOptions options;
  options.queue = to_queue;
  SendRequest send =
      build_send(parent, "dead_letters.record", Json::array({letter}), Json::object(), options, now);
  send.outgoing.queue = to_queue;
  send.outgoing.message.properties.routing_key = to_queue;
  return std::move(send.outgoing);
}

}  // namespace celeriac
