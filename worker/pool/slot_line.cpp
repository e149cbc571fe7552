#include "worker/pool/slot_line.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace celeriac {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr std::size_t read_chunk = 64u << 10;
constexpr std::size_t kept_buffer = 1u << 20;

}  // namespace

Expected<std::shared_ptr<SlotLine>> SlotLine::start(boost::asio::io_context& io) {
  const auto slot = spawn_slot();
  if (!slot) return tl::unexpected(slot.error());
  return std::shared_ptr<SlotLine>(new SlotLine(io, *slot));
}

SlotLine::SlotLine(boost::asio::io_context& io, const SpawnedSlot& slot)
    : pid_(slot.pid), socket_(io, slot.socket), pidfd_(io, slot.pidfd) {}

SlotLine::~SlotLine() { abandon(); }

void SlotLine::abandon() {
  handlers_ = {};
  if (ended_) return;
  ended_ = true;
  kill(SIGKILL);
  reap_slot(pid_, true);
  socket_.close();
  pidfd_.close();
}

void SlotLine::listen(Handlers handlers) {
  handlers_ = std::move(handlers);
  read();
  watch();
}

void SlotLine::watch() {
  pidfd_.async_wait(Descriptor::wait_read, [self = shared_from_this()](error_code error) {
    if (!error && !self->ended_) self->ended();
  });
}

void SlotLine::read() {
  socket_.async_wait(Descriptor::wait_read, [self = shared_from_this()](error_code error) {
    if (error || self->ended_) return;
    const bool more = self->read_available();
    self->deliver();
    // At the end of the stream the process is about to end, or else has gone astray.
    if (self->ended_) return;
    if (more) return self->read();
    if (!self->closing_) self->kill(SIGKILL);
  });
}

bool SlotLine::read_available() {
  for (;;) {
    const ssize_t size = ::recv(socket_.native_handle(), in_.prepare(read_chunk), read_chunk, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (size == 0) return false;
    in_.commit(static_cast<std::size_t>(size));
    for (;;) {
      auto frame = in_.next();
      if (!frame) return false;
      if (!*frame) break;
      frames_.push_back(std::move(**frame));
    }
    if (static_cast<std::size_t>(size) < read_chunk) return true;
  }
}

void SlotLine::deliver() {
  if (frames_.empty()) return;
  const auto keep = shared_from_this();
  if (handlers_.on_frames) handlers_.on_frames(std::exchange(frames_, {}));
}

void SlotLine::flush() {
  if (ended_ || waiting_to_write_) return;
  if (written_ == writing_.size()) {
    written_ = 0;
    if (writing_.capacity() > kept_buffer) writing_ = std::string();
    writing_.clear();
    std::swap(writing_, out_);
  }
  while (written_ < writing_.size()) {
    const ssize_t size = ::send(socket_.native_handle(), writing_.data() + written_,
                                writing_.size() - written_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      waiting_to_write_ = true;
      socket_.async_wait(Descriptor::wait_write, [self = shared_from_this()](error_code error) {
        self->waiting_to_write_ = false;
        if (!error) self->flush();
      });
      return;
    }
    if (size < 0) return;  // it has died; watch() tells
    written_ += static_cast<std::size_t>(size);
  }
  if (!out_.empty()) return flush();
  if (closing_) ::shutdown(socket_.native_handle(), SHUT_WR);
}

void SlotLine::close_input() {
  closing_ = true;
  flush();
}

void SlotLine::kill(int signal) {
  // Until it is reaped the pid cannot belong to anybody else. The group may not exist yet.
  if (signal != SIGKILL || ::kill(-pid_, signal) != 0) ::kill(pid_, signal);
}

void SlotLine::tell_soft_limit(JobId job) {
  sigval value{};
  value.sival_ptr = reinterpret_cast<void*>(static_cast<std::uintptr_t>(job));
  sigqueue(pid_, SIGUSR1, value);
}

void SlotLine::ended() {
  const auto keep = shared_from_this();
  read_available();
  ended_ = true;
  kill(SIGKILL);  // what its tasks have left behind
  const ExitStatus status = reap_slot(pid_, true).value_or(ExitStatus{});
  socket_.close();
  pidfd_.close();
  deliver();
  const Handlers handlers = std::exchange(handlers_, {});
  if (handlers.on_exit) handlers.on_exit(status);
}

}  // namespace celeriac
