// What the settings say of queues on RabbitMQ: task_queues, and the defaults of all others.
#pragma once

#include "config/settings.hpp"
#include "queues/amqp/topology.hpp"

namespace celeriac::amqp {

TopologyOptions read_topology(const Settings& settings);

}  // namespace celeriac::amqp
