#include "cli/pause_command.hpp"

#include "cli/command_line.hpp"
#include "cli/keeper_session.hpp"
#include "cli/resume_command.hpp"
#include "protocol/time.hpp"

#include <unistd.h>
#include <cstdlib>
#include <ostream>

namespace celeriac {
namespace {

std::string who() {
  const char* user = std::getenv("USER");
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return std::string(user ? user : "uid " + std::to_string(::getuid())) + "@" + host;
}

int change(CommandContext& context, const Arguments& args, bool pausing) {
  const std::string verb = pausing ? "pause" : "resume";
  auto options = command_options(
      "celeriac " + verb,
      pausing
          ? "Keeps every celeriac worker, those to come included, from taking messages of these queues. "
            "What they have taken already still runs. Python workers do not know of it: for them there is "
            "`celeriac control cancel_consumer QUEUE`."
          : "Lets workers take messages of these queues again.");
  std::vector<std::string> queues;
  std::string note;
  bool json = false;
  options->add_option("queues", queues, "the queues")->required();
  if (pausing) options->add_option("--note", note, "why; shown by `celeriac queues`");
  options->add_flag("--json", json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  KeeperSession session(std::move(*settings));
  auto keeper = session.keeper();
  if (!keeper) return print_keeper_failure(context, keeper.error());

  const std::string text = short_time(unix_now()) + " by " + who() + (note.empty() ? "" : ": " + note);
  Json out = Json::object();
  for (const auto& queue : queues) {
    auto changed = session.wait<bool>([&](auto answer) {
      pausing ? (*keeper)->pause(queue, text, answer) : (*keeper)->resume(queue, answer);
    });
    if (!changed) return print_keeper_failure(context, changed.error());
    out[queue] = *changed;
    if (!json)
      context.out << queue
                  << (*changed ? (pausing ? ": paused" : ": resumed")
                               : (pausing ? ": was paused already" : ": was not paused"))
                  << "\n";
  }
  if (json) context.out << dump_json(Json{{pausing ? "paused" : "resumed", out}}) << "\n";
  return exit_code::ok;
}

}  // namespace

int pause_command(CommandContext& context, const Arguments& args) { return change(context, args, true); }
int resume_command(CommandContext& context, const Arguments& args) { return change(context, args, false); }

}  // namespace celeriac
