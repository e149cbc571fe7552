// The contract of queues/broker.hpp as a test suite. A driver's test describes how to make its
// broker in a BrokerFixture and calls broker_conformance() inside one TEST_CASE.
#pragma once

#include "queues/broker.hpp"

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

namespace celeriac::testing {

struct BrokerFixture {
  boost::asio::io_context& io;
  // A new broker on a server whose queues are empty. Each call makes another client.
  std::function<std::unique_ptr<Broker>()> make;
  // Puts these bytes into the queue as they are, as a foreign publisher would.
  std::function<void(const std::string& queue, const std::string& bytes)> push_raw;
  // A message whose transport framing cannot be read; it must arrive with an error and these bytes. What
  // push_raw() does where the body is the framing.
  std::function<void(const std::string& queue, const std::string& bytes)> push_unreadable;
  // Cuts every client's connection.
  std::function<void()> cut_connections;
  // Waits no longer than this for a dead broker's messages to come back.
  std::chrono::milliseconds recovery{3000};
  // The exact bytes of all dead letters.
  std::function<std::vector<std::string>()> dead_letters;
  bool strict_window = true;  // also in the moment of a change
  bool has_priorities = true;
  bool lower_number_first = true;  // priority 0 is the most urgent (Redis) or 9 is (AMQP)
};

void broker_conformance(BrokerFixture& fixture);

}  // namespace celeriac::testing
