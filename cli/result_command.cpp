#include "cli/result_command.hpp"

#include "cli/command_line.hpp"
#include "cli/print_result.hpp"

#include <ostream>

namespace celeriac {

int result_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac result",
                      "Waits for a task's result and prints it. A failed task's exception goes to stderr, "
                      "with exit code 1.");
  std::string id, task;
  PrintResult how;
  options->add_option("id", id, "the task's id")->required();
  options->add_option("-t,--task", task)->group("");  // Celery's; the store knows what it holds
  options->add_flag("--traceback", how.traceback, "print the traceback instead of the value");
  options->add_option("--timeout", how.timeout, "how long to wait; default: for ever")
      ->check(CLI::NonNegativeNumber)
      ->type_name("SECONDS");
  options->add_flag("--json", how.json, "print the stored document");
  if (auto code = read_command(context, *options, args)) return *code;

  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  if (settings->result_backend.empty())
    return refuse_usage(context, *options,
                        "no result store is configured: give `celeriac --result-backend URL result ...`");
  Session session(std::move(*settings));
  return print_result(context, session, id, how);
}

}  // namespace celeriac
