// One slot as the worker's loop sees it: a process that is alive, and a socket that carries frames. What the
// frames mean is the pool's affair.
#pragma once

#include "protocol/error.hpp"
#include "worker/pool/ipc.hpp"
#include "worker/pool/spawn.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace celeriac {

class SlotLine : public std::enable_shared_from_this<SlotLine> {
 public:
  struct Handlers {
    // What one read brought, in order.
    std::function<void(std::vector<ipc::Frame>&&)> on_frames;
    // The process has ended and is reaped; all its frames were handed over before.
    std::function<void(ExitStatus)> on_exit;
  };

  static Expected<std::shared_ptr<SlotLine>> start(boost::asio::io_context& io);
  ~SlotLine();

  void listen(Handlers handlers);
  // No handler is called any more; the process is killed and reaped.
  void abandon();

  int pid() const { return pid_; }

  // Frames queued in one turn of the loop leave in one write, with flush().
  template <class T>
  void queue(const T& frame) {
    ipc::encode(frame, out_);
  }
  void flush();

  // Lets an idle slot end by itself: no more frames will come.
  void close_input();
  void kill(int signal);        // SIGKILL takes its whole process group
  void tell_soft_limit(JobId);  // reaches only this job

 private:
  SlotLine(boost::asio::io_context& io, const SpawnedSlot& slot);

  void read();
  bool read_available();  // false at the end of the stream
  void deliver();
  void watch();
  void ended();

  int pid_;
  boost::asio::posix::stream_descriptor socket_, pidfd_;
  Handlers handlers_;
  ipc::FrameReader in_;
  std::vector<ipc::Frame> frames_;
  std::string out_, writing_;
  std::size_t written_ = 0;
  bool closing_ = false, ended_ = false, waiting_to_write_ = false;
};

}  // namespace celeriac
