// worker_main: the process around a worker.
#include "config/worker_command.hpp"
#include "worker/app.hpp"
#include "worker/pool/slot.hpp"
#include "worker/worker.hpp"

#include <cstdio>

namespace celeriac {

int worker_main(const App& app, int argc, char** argv) {
  if (const auto code = run_slot_if_asked(app, argc, argv)) return *code;
  const auto command = parse_worker_command(argc, argv);
  if (!command) {
    const CommandLineExit& leave = command.error();
    std::fputs(leave.text.c_str(), leave.to_stderr ? stderr : stdout);
    return leave.code;
  }
  for (const auto& warning : command->warnings) std::fprintf(stderr, "Warning: %s\n", warning.c_str());
  return run_worker(app, command->settings, command->options);
}

}  // namespace celeriac
