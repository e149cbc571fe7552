// One node's part in remote control: it listens, runs commands and replies; and at start it asks its
// neighbours for what they have revoked (mingle), beside the work, not before it.
#pragma once

#include "queues/broker.hpp"
#include "worker/control/mailbox.hpp"
#include "worker/control/panel.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

namespace celeriac {

class RemoteControl {
 public:
  RemoteControl(boost::asio::io_context& io, Broker& broker, ControlPanel panel);

  // Listens until the broker stops.
  void listen();
  // Asks once; answers are merged for a second. Tasks are run meanwhile.
  void mingle();
  void stop();

 private:
  void received(Message&& message);
  void merge(const Message& message);
  void end_mingle();

  Broker& broker_;
  ControlPanel panel_;
  boost::asio::steady_timer mingle_timer_;
  std::string mingle_key_, mingle_ticket_;
  std::size_t neighbours_ = 0;
};

}  // namespace celeriac
