#include "cli/help_command.hpp"

#include "cli/command_line.hpp"
#include "cli/manual_page.hpp"
#include "config/version.hpp"

#include <ostream>
#include <sstream>

namespace celeriac {
namespace {

std::string page_of(const App& app, Arguments line) {
  line.push_back("--help");
  std::ostringstream out, err;
  run_command_line(app, line, out, err);
  auto text = out.str();
  text.erase(0, text.find_first_not_of('\n'));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text + "\n";
}

}  // namespace

int help_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac help", "Prints the help page of a command, or the list of commands.");
  std::string name;
  bool markdown = false, manual = false;
  options->add_option("command", name, "the command");
  options->add_flag("--markdown", markdown, "every page, as docs/cli.md");
  options->add_flag("--man", manual, "every page, as a manual page")->excludes("--markdown");
  if (auto code = read_command(context, *options, args)) return *code;
  if (manual) {
    std::vector<HelpPage> pages{{"", page_of(context.app, {})}};
    for (const auto& command : commands())
      pages.push_back({std::string(command.name), page_of(context.app, {std::string(command.name)})});
    write_manual_page(context.out, pages, std::string(version()));
    return exit_code::ok;
  }
  if (!markdown) {
    if (name.empty()) return run_command_line(context.app, {"--help"}, context.out, context.err);
    return run_command_line(context.app, {name, "--help"}, context.out, context.err);
  }
  context.out << "# Command line\n\n<!-- Written by `celeriac help --markdown`; a test compares them. -->\n\n"
                 "```text\n"
              << page_of(context.app, {}) << "```\n";
  for (const auto& command : commands())
    context.out << "\n## celeriac " << command.name << "\n\n```text\n"
                << page_of(context.app, {std::string(command.name)}) << "```\n";
  return exit_code::ok;
}

}  // namespace celeriac
