#include "worker/pool/slot.hpp"

#include "protocol/time.hpp"
#include "worker/app.hpp"
#include "worker/context.hpp"
#include "worker/pool/ipc.hpp"
#include "worker/pool/memory.hpp"
#include "worker/pool/slot_output.hpp"
#include "worker/pool/spawn.hpp"
#include "worker/run_task.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <fstream>
#include <utility>

namespace celeriac {
namespace {

std::atomic<bool> soft_limit_hit{false};
std::atomic<JobId> current_job{0};
static_assert(std::atomic<JobId>::is_always_lock_free);

// The pool names the job it means, so a late signal does not hit the next one. A signal
// from elsewhere means whatever runs, as in Celery.
void on_soft_limit(int, siginfo_t* info, void*) {
  const JobId running = current_job.load(std::memory_order_relaxed);
  const bool named = info->si_code == SI_QUEUE;
  if (running == 0 || (named && reinterpret_cast<std::uintptr_t>(info->si_value.sival_ptr) != running))
    return;
  soft_limit_hit.store(true, std::memory_order_relaxed);
}

void on_ignored(int) {}

// Only SIGKILL ends a slot from outside: a supervisor that signals the whole group must not cut short what a
// warm shutdown waits for. Handlers, not SIG_IGN, so that programs a task starts get the defaults back.
void install_signals() {
  struct sigaction action {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_ignored;
  for (int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE, SIGUSR2}) sigaction(signal, &action, nullptr);
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  action.sa_sigaction = on_soft_limit;
  sigaction(SIGUSR1, &action, nullptr);
}

// The parent has gone or speaks nonsense: there is nobody to tell.
[[noreturn]] void leave_at_once() { std::_Exit(EXIT_FAILURE); }

class SlotProcess : public TaskPort {
 public:
  explicit SlotProcess(const App& app) : app_(app) {}

  int run() {
    if (!await_configuration()) return EXIT_FAILURE;
    try {
      app_.run_slot_start_hooks();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "a slot could not start: %s\n", error.what());
      return EXIT_FAILURE;
    }
    limit_memory();
    if (configuration_.stdout_level > 0) {
      output_ = std::make_unique<SlotOutput>([this](std::string line) {
        const LogRequest request{configuration_.stdout_level, std::move(line)};
        ipc::encode(ipc::Asked{current_job.load(), request}, out_);
        flush();
      });
    }
    ipc::encode(ipc::Ready{}, out_);
    PeakMemory peak;
    for (std::uint32_t done = 0;;) {
      while (jobs_.empty()) {
        flush();
        if (!read_frames()) return EXIT_SUCCESS;
      }
      // While the last job ran, some of those that waited here may have been called back.
      if (!look_for_frames()) return EXIT_SUCCESS;
      if (jobs_.empty()) continue;
      run_next(peak);
      if (++done == configuration_.max_tasks || too_big()) {
        flush();
        return recycle_exit_code;
      }
    }
  }

  std::string request(TaskRequest request) override {
    const bool waits = is_call(request);
    ipc::encode(ipc::Asked{current_job.load(), std::move(request)}, out_);
    flush();
    if (!waits) return {};
    while (!reply_)
      if (!read_frames()) leave_at_once();
    return std::exchange(reply_, std::nullopt)->error;
  }

 private:
  void run_next(PeakMemory& peak) {
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    soft_limit_hit = false;
    if (output_) output_->start_of_job();
    current_job = job.id;
    peak.begin();
    // The start is written before the function runs: if it takes the process down, the pool
    // knows which job that was. Results wait for this write, or for an empty socket.
    Finished finished = run_task({app_, configuration_.accept, *this, true}, job, soft_limit_hit, [&] {
      ipc::encode(Started{job.id, getpid(), unix_now()}, out_);
      flush();
    });
    if (output_) output_->end_of_job();
    current_job = 0;
    finished.usage.peak_rss = peak.end();
    ipc::encode(finished, out_);
  }

  bool await_configuration() {
    while (!configured_)
      if (!read_frames()) return false;
    return true;
  }

  // RLIMIT_AS counts address space, of which a started process has much that it never touches;
  // so tasks get the limit on top of what is mapped now.
  void limit_memory() {
    if (configuration_.memory_limit == 0) return;
    const rlim_t bytes = virtual_bytes() + configuration_.memory_limit;
    const rlimit limit{bytes, bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0) std::perror("memory limit of a slot");
  }

  bool too_big() const {
    return configuration_.max_memory > 0 && resident_bytes() > configuration_.max_memory;
  }

  // Blocks for more bytes and takes the frames in them. False when the parent has let us go.
  bool read_frames() { return receive(0); }
  // The same without waiting.
  bool look_for_frames() { return receive(MSG_DONTWAIT); }

  bool receive(int flags) {
    constexpr std::size_t chunk = 64u << 10;
    ssize_t size = 0;
    do {
      size = recv(slot_socket, in_.prepare(chunk), chunk, flags);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (size <= 0) return false;
    in_.commit(static_cast<std::size_t>(size));
    for (;;) {
      auto frame = in_.next();
      if (!frame) leave_at_once();
      if (!*frame) return true;
      take(std::move(**frame));
    }
  }

  // One that has started is finished like any other: nothing is answered.
  void recall(JobId id) {
    if (std::erase_if(jobs_, [id](const Job& job) { return job.id == id; }) > 0)
      ipc::encode(ipc::Recall{id}, out_);
  }

  void take(ipc::Frame&& frame) {
    if (auto* job = std::get_if<Job>(&frame)) {
      jobs_.push_back(std::move(*job));
    } else if (auto* reply = std::get_if<ipc::Reply>(&frame)) {
      reply_ = std::move(*reply);
    } else if (const auto* recalled = std::get_if<ipc::Recall>(&frame)) {
      recall(recalled->job);
    } else if (auto* configuration = std::get_if<ipc::Configure>(&frame)) {
      configuration_ = std::move(*configuration);
      configured_ = true;
    } else {
      leave_at_once();
    }
  }

  void flush() {
    std::size_t written = 0;
    while (written < out_.size()) {
      const ssize_t size = ::send(slot_socket, out_.data() + written, out_.size() - written, MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) leave_at_once();
      written += static_cast<std::size_t>(size);
    }
    constexpr std::size_t kept_buffer = 1u << 20;
    if (out_.capacity() > kept_buffer) out_ = std::string();
    out_.clear();
  }

  const App& app_;
  ipc::Configure configuration_;
  bool configured_ = false;
  ipc::FrameReader in_;
  std::string out_;
  std::deque<Job> jobs_;
  std::optional<ipc::Reply> reply_;
  std::unique_ptr<SlotOutput> output_;  // null: what tasks print goes where the worker's own goes
};

int serve(const App& app) {
  struct stat status {};
  if (fstat(slot_socket, &status) != 0 || !S_ISSOCK(status.st_mode)) {
    std::fprintf(stderr, "%s is for the worker's own use\n", slot_marker);
    return EXIT_FAILURE;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  install_signals();
  return SlotProcess(app).run();
}

}  // namespace

std::optional<int> run_slot_if_asked(const App& app, int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], slot_marker) != 0) return std::nullopt;
  return serve(app);
}

std::optional<int> run_slot_if_asked(const App& app) {
  std::ifstream line("/proc/self/cmdline", std::ios::binary);
  std::string program, first;
  std::getline(line, program, '\0');
  std::getline(line, first, '\0');
  if (first != slot_marker) return std::nullopt;
  return serve(app);
}

}  // namespace celeriac
