// `celeriac beat`: one beat from start to exit.
#pragma once

#include "config/settings.hpp"
#include "worker/app.hpp"

#include <string>

namespace celeriac {

struct BeatOptions {
  std::string loglevel = "WARNING";
  std::string logfile;  // empty: stderr
  std::string pidfile;  // empty: none
  bool quiet = false, no_color = false;
};

// Runs until SIGTERM or SIGINT; returns the process's exit code. Blocks.
int run_beat(const App& app, const Settings& settings, const BeatOptions& options);

}  // namespace celeriac
