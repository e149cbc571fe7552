// --statedb: what survives a restart, the revoked ids and the logical clock, as one JSON file of our
// own (Python's is a pickle that only Python reads).
#pragma once

#include "protocol/error.hpp"
#include "worker/events/lamport_clock.hpp"
#include "worker/revoked.hpp"

#include <string>

namespace celeriac {

// A file that is not there yet is fine. An unreadable one is an Error: overwriting it would lose ids.
Expected<bool> load_state(const std::string& path, RevokedSet& revoked, LamportClock& clock, double now);

// Replaces the file in one step.
Expected<bool> save_state(const std::string& path, const RevokedSet& revoked, const LamportClock& clock,
                          double now);

}  // namespace celeriac
