// A BlockingStore as a ResultBackend: calls queue work, one thread does it in order, answers come back on the
// loop. What gathers while the thread is busy goes as one batch.
//
// When the store has a fault it is opened again for ever (backoff.hpp), and what was under way is
// done again, ahead of everything else. A fault for good is BrokerState::failed: all that waits gets an
// error. The destructor waits for the call under way.
#pragma once

#include "queues/blocking/blocking_store.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

namespace celeriac {

struct BlockingOptions {
  std::string display;  // the URL without its password
  double expires = 0;   // result_expires for cleanup(), seconds; 0: never
};

std::unique_ptr<ResultBackend> make_blocking_backend(boost::asio::io_context& io,
                                                     std::unique_ptr<BlockingStore> store,
                                                     BlockingOptions options);

}  // namespace celeriac
