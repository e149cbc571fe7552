#include "cli/list_command.hpp"

#include "cli/command_line.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "protocol/json.hpp"
#include "queues/bindings.hpp"

#include <ostream>

namespace celeriac {

int list_command(CommandContext& context, const Arguments& args) {
  auto options = command_options("celeriac list", "Lists the queues that are bound to exchanges.");
  std::string what;
  bool json = false;
  options->add_option("what", what, "bindings")
      ->required()
      ->check(CLI::IsMember({"bindings"}))
      ->type_name("");
  options->add_flag("-j,--json", json, "print JSON");
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  const auto bindings = read_bindings(*settings);
  if (!bindings) {
    context.err << "Error: " << bindings.error().what << "\n";
    return exit_code::unavailable;
  }
  Json list = Json::array();
  Table table({{"Queue"}, {"Exchange"}, {"Routing Key"}});
  for (const Binding& binding : *bindings) {
    list.push_back(
        {{"queue", binding.queue}, {"exchange", binding.exchange}, {"routing_key", binding.routing_key}});
    table.add({binding.queue, binding.exchange, binding.routing_key});
  }
  context.out << (json ? dump_json(list) + "\n"
                       : table.text(terminal_width(), use_color(context.globals.no_color)));
  return exit_code::ok;
}

}  // namespace celeriac
