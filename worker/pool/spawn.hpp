// Starts a slot's process, and learns how it ended.
#pragma once

#include "protocol/error.hpp"

#include <sys/types.h>
#include <optional>
#include <string_view>

namespace celeriac {

inline constexpr char slot_marker[] = "--celeriac-slot";  // argv[1] of a slot
inline constexpr int slot_socket = 3;                     // its end of the socket pair
inline constexpr int recycle_exit_code = 155;             // it had its fill of tasks or memory; as in Celery

struct SpawnedSlot {
  pid_t pid = 0;
  int socket = -1;  // ours; non-blocking, closed by the caller
  int pidfd = -1;   // readable once the process has ended
};

// This executable with nothing but the socket: own process group, standard input from /dev/null,
// standard output and error ours, no other descriptor, and no credentials in its environment.
Expected<SpawnedSlot> spawn_slot();

// Broker and result store URLs do not reach slots.
bool withheld_from_slots(std::string_view variable);

struct ExitStatus {
  int signal = 0;  // or 0
  int code = 0;
};
// Waits for the process, which must have ended unless `block`. Nothing when it has not.
std::optional<ExitStatus> reap_slot(pid_t pid, bool block);

}  // namespace celeriac
