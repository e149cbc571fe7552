// The composition root: the one place that knows every folder.
#include "cli/application.hpp"
#include "cli/command_line.hpp"
#include "config/load.hpp"
#include "worker/pool/slot.hpp"

#include <iostream>

int main(int argc, char** argv) {
  // A prefork slot is this executable started again, so this part runs in both: file and environment decide
  // here, and a mistake in them is reported by the command, which reads them once more.
  celeriac::SettingSources sources;
  sources.environment = celeriac::process_environment();
  auto loaded = celeriac::load_settings(sources);
  auto app = celeriac::application(loaded ? loaded->settings : celeriac::Settings{});
  if (auto code = celeriac::run_slot_if_asked(app)) return *code;

  return celeriac::run_command_line(app, {argv + (argc > 0 ? 1 : 0), argv + argc}, std::cout, std::cerr);
}
