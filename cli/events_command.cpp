#include "cli/events_command.hpp"

#include "cli/application.hpp"
#include "cli/cluster_view.hpp"
#include "cli/command_line.hpp"
#include "cli/event_line.hpp"
#include "cli/live_screen.hpp"
#include "cli/remote_command.hpp"
#include "cli/table.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "worker/events/read_events.hpp"

#include <unistd.h>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <ostream>

namespace celeriac {
namespace {

constexpr std::chrono::milliseconds frame{500};  // between two pictures
constexpr int frames_between_queues = 4;

void listen(Broker& broker, const std::string& prefix, std::ostream& err,
            std::function<void(const Json&)> on_event) {
  broker.subscribe("celeryev", "#", prefix + "." + uuid4(),
                   [&err, on_event = std::move(on_event)](Message&& message) {
                     auto events = read_events(message);
                     if (!events) {
                       err << "an event cannot be read: " << events.error().what << "\n";
                       return;
                     }
                     for (const Json& event : *events) on_event(event);
                   });
  ControlRequest wake;  // nodes tell that they are there
  wake.method = "heartbeat";
  wake.clock = 1;
  broker.broadcast(write_control_request(wake, 0));
}

// What the broker's answers change: they may still come while the session ends.
struct Shown {
  ClusterView view;
  bool asking = false;
};

// Draws until it is stopped.
class Top {
 public:
  Top(Session& session, Broker& broker, std::vector<std::string> queues, bool colour)
      : broker_(broker), queues_(std::move(queues)), colour_(colour), timer_(session.io()) {}

  void draw(LiveScreen& screen) {
    if (frames_++ % frames_between_queues == 0 && !std::exchange(shown_->asking, true)) {
      broker_.inspect(queues_, [shown = shown_](Expected<std::vector<QueueInfo>> queues) {
        shown->asking = false;
        if (queues) shown->view.on_queues(std::move(*queues));
      });
    }
    const LiveScreen::Size size = screen.size();
    screen.draw(shown_->view.lines(unix_now(), size.columns, size.rows, colour_));
    timer_.expires_after(frame);
    timer_.async_wait([this, &screen](const boost::system::error_code& error) {
      if (!error) draw(screen);
    });
  }
  void stop() { timer_.cancel(); }
  const std::shared_ptr<Shown>& shown() const { return shown_; }

 private:
  Broker& broker_;
  const std::vector<std::string> queues_;
  const bool colour_;
  const std::shared_ptr<Shown> shown_ = std::make_shared<Shown>();
  boost::asio::steady_timer timer_;
  int frames_ = 0;
};

}  // namespace

int events_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac events",
      "Shows nodes, queues, rates and running tasks on a screen, until q is typed. Where the output is no "
      "terminal, or with --dump or --json, it prints the events of all nodes as they happen. Nodes send "
      "task events when they run with -E or after `celeriac control enable_events`.");
  bool dump = false, json = false;
  options->add_flag("-d,--dump", dump, "one line an event");
  options->add_flag("-j,--json", json, "print each event as JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  const auto names = known_queues(context.app, *settings);
  Session session(std::move(*settings));
  auto broker = session.broker();
  if (!broker) return print_unreachable(context, broker.error().what);
  if (!(*broker)->can_broadcast()) return print_unreachable(context, "this broker has no events");

  boost::asio::signal_set signals(session.io(), SIGINT, SIGTERM, SIGHUP);
  std::function<void(Expected<bool>)> end;
  const auto until_ended = [&](std::function<void(Expected<bool>)> done) {
    end = std::move(done);
    signals.async_wait([&](const boost::system::error_code& error, int) {
      if (!error) end(true);
    });
  };
  Expected<bool> ended = true;
  if (!dump && !json && ::isatty(STDOUT_FILENO) && ::isatty(STDIN_FILENO)) {
    Top top(session, **broker, {names.begin(), names.end()}, use_color(context.globals.no_color));
    listen(**broker, session.settings().event_queue_prefix, context.err,
           [shown = top.shown()](const Json& event) { shown->view.on_event(event, unix_now()); });
    LiveScreen screen(session.io(), [&] { end(true); });
    top.draw(screen);
    ended = session.wait<bool>(until_ended, std::nullopt);
    top.stop();
  } else {
    listen(**broker, session.settings().event_queue_prefix, context.err,
           [&out = context.out, json, lines = std::make_shared<EventLines>()](const Json& event) {
             out << (json ? dump_json(event) : lines->line(event)) << "\n" << std::flush;
           });
    if (!json) context.out << "-> evdump: starting capture..." << std::endl;
    ended = session.wait<bool>(until_ended, std::nullopt);
  }
  signals.cancel();
  return ended ? exit_code::ok : print_unreachable(context, ended.error().what);
}

}  // namespace celeriac
