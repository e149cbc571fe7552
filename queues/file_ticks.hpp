// The beat schedule's ledger in a file of this machine, for brokers that can keep none. One process holds it
// at a time (a lock beside it, which the kernel lifts when its holder dies); others stand by.
//
// A task is sent first and written down after: a beat that is killed in between sends that one task again.
#pragma once

#include "queues/tick_ledger.hpp"

namespace celeriac {

std::unique_ptr<TickLedger> make_file_ticks(boost::asio::io_context& io, std::unique_ptr<Broker> broker,
                                            std::string path);

}  // namespace celeriac
