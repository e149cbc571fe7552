// What every ledger of a beat schedule must do.
#pragma once

#include "queues/tick_ledger.hpp"

#include <functional>
#include <memory>
#include <string>

namespace celeriac {

struct TickSubject {
  // A further ledger over the same records, as another beat has it.
  std::function<std::unique_ptr<TickLedger>(boost::asio::io_context&)> open;
  std::function<std::size_t(const std::string& queue)> sent;  // messages in a queue
  bool shared = true;  // several may be in use at a time; otherwise the second stands by
};

void check_tick_conformance(const TickSubject& subject);

}  // namespace celeriac
