#include "cli/dev/supervisor.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <ostream>

namespace celeriac::dev {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto poll_step = milliseconds(20);
constexpr auto ready_limit = std::chrono::seconds(60);
constexpr auto quick = std::chrono::seconds(10);  // a death sooner than this counts against the service
constexpr int most_quick_deaths = 3;
constexpr std::size_t longest_line = 64 * 1024;

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&set, number);
  return set;
}

}  // namespace

Supervisor::Supervisor(std::ostream& out, bool color) : out_(out), color_(color) {
  auto set = our_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

Supervisor::~Supervisor() {
  services_.clear();
  auto set = our_signals();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  if (signals_ >= 0) close(signals_);
}

void Supervisor::say(const std::string& text) { out_ << text << "\n" << std::flush; }

pid_t Supervisor::pid_of(const std::string& name) const {
  for (const auto& running : services_)
    if (running.service.child.name == name && running.child) return running.child->pid();
  return 0;
}

void Supervisor::print_line(const Running& running, const std::string& line) {
  auto name = running.service.child.name;
  name.resize(std::max<std::size_t>(name.size(), 8), ' ');
  out_ << (color_ ? "\x1b[36m" + name + " |\x1b[0m " : name + " | ") << line << "\n";
}

void Supervisor::drain(Running& running, const std::function<void(Running&, const std::string&)>& on_line) {
  char chunk[16384];
  for (;;) {
    auto n = read(running.child->output(), chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // nothing more for now
    if (n == 0) {
      running.child->close_output();
      break;
    }
    running.buffer.append(chunk, static_cast<std::size_t>(n));
    std::size_t start = 0;
    for (std::size_t end; (end = running.buffer.find('\n', start)) != std::string::npos; start = end + 1) {
      auto line = running.buffer.substr(start, end - start);
      print_line(running, line);
      if (on_line) on_line(running, line);
    }
    running.buffer.erase(0, start);
    if (running.buffer.size() > longest_line) {
      print_line(running, running.buffer);
      running.buffer.clear();
    }
  }
  out_ << std::flush;
}

void Supervisor::pump(milliseconds limit, const std::function<void(Running&, const std::string&)>& on_line) {
  std::vector<pollfd> descriptors = {{signals_, POLLIN, 0}};
  std::vector<Running*> owners;
  for (auto& running : services_)
    if (running.child && running.child->output() >= 0) {
      descriptors.push_back({running.child->output(), POLLIN, 0});
      owners.push_back(&running);
    }
  if (poll(descriptors.data(), descriptors.size(), static_cast<int>(limit.count())) <= 0) return;
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    interrupted_ = true;
    ++interrupts_;
  }
  for (std::size_t i = 0; i < owners.size(); ++i)
    if (descriptors[i + 1].revents != 0) drain(*owners[i], on_line);
}

Expected<void> Supervisor::launch(Running& running) {
  auto child = ChildProcess::start(running.service.child);
  if (!child) return tl::unexpected(child.error());
  running.child = std::make_unique<ChildProcess>(std::move(*child));
  running.buffer.clear();
  running.started = Steady::now();
  return {};
}

Expected<void> Supervisor::start(Service service) {
  auto& running = services_.emplace_back();
  running.service = std::move(service);
  const auto& name = running.service.child.name;
  if (auto done = launch(running); !done) return done;
  auto deadline = Steady::now() + ready_limit;
  bool is_ready = running.service.ready == nullptr;
  while (!is_ready) {
    std::vector<std::string> lines;
    pump(poll_step, [&](Running& of, const std::string& line) {
      if (&of == &running) lines.push_back(line);
    });
    lines.emplace_back();
    for (const auto& line : lines) is_ready = is_ready || running.service.ready(line);
    if (interrupted_) return unexpected("interrupted");
    if (!running.child->running()) {
      drain(running, {});
      return unexpected(name + " ended while it started: " + running.child->how_it_ended());
    }
    if (Steady::now() >= deadline) return unexpected(name + " did not become ready within 60 s");
  }
  return {};
}

Expected<void> Supervisor::run(const ChildOptions& options) {
  auto child = ChildProcess::start(options);
  if (!child) return tl::unexpected(child.error());
  std::string output;
  while (child->output() >= 0) {
    pollfd descriptor{child->output(), POLLIN, 0};
    poll(&descriptor, 1, -1);
    char chunk[4096];
    auto n = read(child->output(), chunk, sizeof chunk);
    if (n == 0) child->close_output();
    if (n > 0) output.append(chunk, static_cast<std::size_t>(n));
    if (output.size() > longest_line) output.erase(0, output.size() - longest_line);
  }
  while (child->running()) pump(poll_step);
  if (child->wait_status() == 0) return {};
  return unexpected(options.name + " failed (" + child->how_it_ended() + "):\n" + output);
}

// False when it has died too often.
bool Supervisor::revive(Running& running) {
  auto now = Steady::now();
  const auto& name = running.service.child.name;
  if (running.child) {
    if (running.child->running()) return true;
    if (running.child->output() >= 0) drain(running, {});
    running.quick_deaths = now - running.started < quick ? running.quick_deaths + 1 : 1;
    bool give_up = running.quick_deaths >= most_quick_deaths;
    say(name + " ended: " + running.child->how_it_ended() +
        (give_up ? "; it keeps ending, so all is stopped" : "; starting it again"));
    running.child.reset();
    if (give_up) return false;
    running.restart_at = now + std::chrono::seconds(1);
  }
  if (now < running.restart_at) return true;
  if (auto done = launch(running); !done) {
    say(done.error().what);
    return false;
  }
  return true;
}

bool Supervisor::supervise() {
  while (!interrupted_) {
    pump(milliseconds(500));
    for (auto& running : services_)
      if (!interrupted_ && !revive(running)) return false;
  }
  return true;
}

void Supervisor::stop() {
  for (auto running = services_.rbegin(); running != services_.rend(); ++running) {
    if (!running->child || !running->child->running()) continue;
    running->child->signal(running->service.stop_signal);
    auto asked = Steady::now();
    int before = interrupts_;
    bool killed = false;
    while (running->child->running()) {
      pump(milliseconds(100));
      auto patience = running->service.patience;
      bool late = patience.count() > 0 && Steady::now() - asked > patience;
      if (!killed && (late || interrupts_ > before)) {
        say("killing " + running->service.child.name);
        running->child->signal(SIGKILL);
        killed = true;
      }
    }
    if (running->child->output() >= 0) drain(*running, {});
  }
  services_.clear();
}

}  // namespace celeriac::dev
