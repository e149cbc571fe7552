// What a prefork pool and its slots say to each other over their socket: frames of a 4 byte length, a
// version, a kind and fields in the machine's own byte order (both ends are one executable on one machine).
//
// Pure: no descriptors. Both directions are read with the same suspicion, for a slot that parses hostile
// documents may have been taken over.
#pragma once

#include "protocol/error.hpp"
#include "worker/job.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace celeriac::ipc {

constexpr std::uint8_t version = 1;
constexpr std::size_t max_frame = 1u << 30;

// To the slot: first of all, once.
struct Configure {
  std::vector<std::string> accept;
  std::uint32_t max_tasks = 0;     // leave after so many; 0: never
  std::uint64_t max_memory = 0;    // leave when the resident size is above it after a task; 0: never
  std::uint64_t memory_limit = 0;  // room for tasks, enforced; 0: no limit
  std::int32_t stdout_level =
      0;  // what tasks print becomes log lines of this level (spdlog's); 0: it does not
};
// To the slot: the answer to a SendRequest.
struct Reply {
  std::string error;  // empty: sent
};
// To the slot: do not start this job. From the slot: it will not be started.
struct Recall {
  JobId job = 0;
};
// From the slot: its start hooks are done.
struct Ready {};
// From the slot: the running task wants something.
struct Asked {
  JobId job = 0;
  TaskRequest request;
};

using Frame = std::variant<Configure, Job, Reply, Ready, Started, Asked, Finished, Recall>;

void encode(const Configure& frame, std::string& out);
void encode(const Job& frame, std::string& out);
void encode(const Reply& frame, std::string& out);
void encode(const Ready& frame, std::string& out);
void encode(const Started& frame, std::string& out);
void encode(const Asked& frame, std::string& out);
void encode(const Finished& frame, std::string& out);
void encode(const Recall& frame, std::string& out);

// Cuts a stream of bytes into frames. After an error it stays in error.
class FrameReader {
 public:
  // Room for `size` bytes at the end; say with commit() how many were written.
  char* prepare(std::size_t size);
  void commit(std::size_t size) { end_ += size; }

  // The next whole frame; nothing when more bytes are needed.
  Expected<std::optional<Frame>> next();

 private:
  std::string buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace celeriac::ipc
