// What a task prints, as lines of the log: Celery's worker_redirect_stdouts.
//
// The C and C++ streams of the process (printf, std::cout, std::cerr, std::clog and all who use them) write
// here instead of to their descriptors. Programs that a task starts, and code that writes to descriptors
// itself, still reach the worker's own output, as in Celery.
//
// Threads: a task's threads may print; their lines wait for the task's own thread, which alone may speak to
// the worker. There is one object a process.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace celeriac {

class SlotOutput {
 public:
  // `line` is called on the thread that made this object, without the end of the line.
  explicit SlotOutput(std::function<void(std::string)> line);
  ~SlotOutput();  // gives the streams back
  SlotOutput(const SlotOutput&) = delete;
  SlotOutput& operator=(const SlotOutput&) = delete;

  void start_of_job();  // from now on a line belongs to the job
  void end_of_job();    // hands over what has no end of line yet

 private:
  static long write(void* stream, const char* bytes, std::size_t size);
  void take(std::string& partial, std::string_view bytes);
  void hand_over();

  const std::function<void(std::string)> line_;
  const std::thread::id owner_;
  std::mutex mutex_;  // of the partial lines and of waiting_
  std::vector<std::string> waiting_;
  std::string partial_out_, partial_err_;
  bool in_job_ = false, handing_over_ = false;  // of the owner's thread alone
  struct Cookie {
    SlotOutput* output;
    std::string* partial;
  } out_cookie_, err_cookie_;
  std::FILE *old_out_, *old_err_, *new_out_, *new_err_;
  class Buffer;
  std::unique_ptr<Buffer> cout_, cerr_;
};

}  // namespace celeriac
