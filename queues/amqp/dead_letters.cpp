#include "queues/amqp/dead_letters.hpp"

#include "protocol/json.hpp"

namespace celeriac::amqp {

std::string dead_letter_queue(const std::string& queue) { return "celeriac.dead." + queue; }

Message dead_letter(const std::string& queue, const Message& message, const DeadLetter& why, double now) {
  Message letter = message;
  auto headers = parse_json(letter.headers);
  Json note = headers && headers->is_object() ? std::move(*headers) : Json::object();
  Json about = Json::object();
  about["queue"] = queue;
  about["category"] = why.category;
  about["cause"] = why.cause;
  about["task"] = why.task;
  about["task_id"] = why.task_id;
  about["worker"] = why.worker;
  about["time"] = now;
  if (why.attempts) about["attempts"] = *why.attempts;
  about["exchange"] = message.properties.exchange;
  about["routing_key"] = message.properties.routing_key;
  note[dead_letter_note] = std::move(about);
  letter.headers = dump_json(note);
  letter.properties.exchange.clear();
  letter.properties.routing_key = dead_letter_queue(queue);
  letter.properties.expiration.clear();
  letter.properties.delivery_mode = 2;
  return letter;
}

}  // namespace celeriac::amqp
