#include "queues/amqp/task_queues.hpp"

#include "config/task_queues.hpp"

namespace celeriac::amqp {

TopologyOptions read_topology(const Settings& settings) {
  TopologyOptions out;
  out.delayed_queue_type = settings.broker_native_delayed_delivery_queue_type;
  const auto add_priority = [&settings](Json& arguments) {
    if (settings.task_queue_max_priority && !arguments.contains("x-max-priority"))
      arguments["x-max-priority"] = *settings.task_queue_max_priority;
  };
  if (settings.task_default_queue_type == "quorum") out.queue_arguments["x-queue-type"] = "quorum";
  add_priority(out.queue_arguments);
  for (const auto& [name, unused] : settings.task_queues) {
    const QueueSettings given = queue_settings(settings, name);
    NamedQueue queue;
    queue.exchange = given.exchange;
    queue.exchange_type = given.exchange_type;
    queue.routing_key = given.routing_key;
    queue.arguments = parse_json(given.queue_arguments).value_or(Json::object());
    add_priority(queue.arguments);
    out.named.emplace(name, std::move(queue));
  }
  return out;
}

}  // namespace celeriac::amqp
