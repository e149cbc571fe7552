// Settings from every source: defaults, then TOML file, then environment, then command line; later wins.
#pragma once

#include "config/settings.hpp"
#include "protocol/error.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

using Environment = std::map<std::string, std::string>;
Environment process_environment();

// One value from the command line, with the spelling to show in an error ("--concurrency").
struct CommandLineSetting {
  std::string name;  // the setting
  std::string text;
  std::string source;
};

struct SettingSources {
  // --config. Empty: CELERIAC_CONFIG, and failing that ./celeriac.toml when there is one.
  std::string file;
  Environment environment;
  std::vector<CommandLineSetting> command_line;
};

struct LoadedSettings {
  Settings settings;
  std::string file;                   // the file that was read; empty: none
  std::vector<std::string> warnings;  // known settings without effect; environment names that look mistyped
};

// The Error names the key and where it stands: "celeriac.toml:3: worker_concurrency: expects ...".
Expected<LoadedSettings> load_settings(const SettingSources& sources);

// `name=value` as the worker takes it after its options; "worker.concurrency" and "_concurrency" are
// Celery's spellings of worker_concurrency.
Expected<CommandLineSetting> read_assignment(std::string_view text);

}  // namespace celeriac
