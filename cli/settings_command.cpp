#include "cli/settings_command.hpp"

#include "cli/command_line.hpp"
#include "config/reference.hpp"

#include <ostream>

namespace celeriac {

int settings_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac settings", "Prints every setting with its type, default and meaning.");
  bool markdown = false, json = false;
  auto* page = options->add_flag("--markdown", markdown, "as docs/settings.md");
  options->add_flag("--json", json, "as one JSON object")->excludes(page);
  if (auto code = read_command(context, *options, args)) return *code;
  context.out << (markdown ? settings_markdown() : json ? settings_json() + "\n" : settings_text());
  return exit_code::ok;
}

}  // namespace celeriac
