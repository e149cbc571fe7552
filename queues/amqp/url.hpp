// Where a RabbitMQ server is and how to log in: from one URL or several, separated by ';'.
#pragma once

#include "config/settings.hpp"
#include "queues/amqp/session.hpp"
#include "queues/stream.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace celeriac::amqp {

struct Server {
  Endpoint endpoint;
  SessionOptions session;
  std::chrono::milliseconds connect_timeout{4000};
  std::string display;  // the URL without its password
};

// amqp://user:password@host:port/vhost?key=value, amqps:// for TLS. Without a vhost, "/". Query keys:
// heartbeat, connection_timeout (seconds), channel_max, frame_max, login_method, and for TLS ssl_cert_reqs,
// ssl_ca_certs, ssl_certfile, ssl_keyfile, or RabbitMQ's names for them: verify, cacertfile, certfile,
// keyfile, server_name_indication. The error names what is wrong and never holds a password.
Expected<std::vector<Server>> read_servers(const Settings& settings);

}  // namespace celeriac::amqp
