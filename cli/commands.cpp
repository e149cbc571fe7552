#include "cli/beat_command.hpp"
#include "cli/bridge_command.hpp"
#include "cli/call_command.hpp"
#include "cli/command.hpp"
#include "cli/control_command.hpp"
#include "cli/dead_command.hpp"
#include "cli/dev_command.hpp"
#include "cli/eta_command.hpp"
#include "cli/events_command.hpp"
#include "cli/export_command.hpp"
#include "cli/help_command.hpp"
#include "cli/import_command.hpp"
#include "cli/inspect_command.hpp"
#include "cli/list_command.hpp"
#include "cli/move_command.hpp"
#include "cli/pause_command.hpp"
#include "cli/peek_command.hpp"
#include "cli/purge_command.hpp"
#include "cli/queues_command.hpp"
#include "cli/report_command.hpp"
#include "cli/result_command.hpp"
#include "cli/resume_command.hpp"
#include "cli/search_command.hpp"
#include "cli/settings_command.hpp"
#include "cli/shell_completion_command.hpp"
#include "cli/status_command.hpp"
#include "cli/tasks_command.hpp"
#include "cli/worker_command.hpp"
#if CELERIAC_TASKS
#include "cli/api_key_command.hpp"
#include "cli/db_command.hpp"
#include "cli/extract_command.hpp"
#include "cli/http_command.hpp"
#endif

namespace celeriac {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
    {"worker", "run tasks", worker_command},
    {"beat", "send tasks at their times; list the schedule", beat_command},
    {"dev", "start Redis, PostgreSQL and a worker here, for development", dev_command},
    {"call", "send a task", call_command},
    {"result", "wait for a task's result", result_command},
    {"queues", "show what waits and runs, queue by queue", queues_command},
    {"peek", "show the messages that come next", peek_command},
    {"search", "find waiting messages", search_command},
    {"move", "move waiting messages to another queue", move_command},
    {"pause", "hold queues back from workers", pause_command},
    {"resume", "end a pause", resume_command},
    {"purge", "drop waiting messages", purge_command},
    {"export", "write waiting messages to a file", export_command},
    {"import", "put exported messages back", import_command},
    {"bridge", "move waiting messages to another broker", bridge_command},
    {"dead", "list, show, requeue or discard dead letters", dead_command},
    {"eta", "list, run or cancel messages that wait for their time", eta_command},
    {"tasks", "list, show, retry or cancel tasks, from the ledger", tasks_command},
    {"status", "show which nodes are online", status_command},
    {"inspect", "ask nodes what they do", inspect_command},
    {"control", "tell nodes what to do", control_command},
    {"events", "watch nodes, queues and tasks, or print events as they happen", events_command},
    {"top", "the same as events", events_command},
    {"list", "show which queues are bound to which exchanges", list_command},
#if CELERIAC_TASKS
    {"extract", "read invoices from files, without a broker", extract_command},
    {"http", "take tasks and documents over HTTP", http_command},
    {"api-key", "make, list and revoke keys for the HTTP front end", api_key_command},
    {"db", "look after the schema of the invoice database", db_command},
#endif
    {"settings", "print the reference of settings", settings_command},
    {"report", "print what a bug report needs", report_command},
    {"shell-completion", "print completion for bash, zsh or fish", shell_completion_command},
    {"help", "print the help page of a command", help_command},
  };
  return table;
}

}  // namespace celeriac
