#include "cli/shell_completion_command.hpp"

#include "cli/command_line.hpp"
#include "worker/control/command_table.hpp"

#include <algorithm>
#include <ostream>
#include <sstream>

namespace celeriac {
namespace {

struct Words {
  std::string command, summary;  // command empty: what stands before one
  std::vector<std::string> words;
};

// The options on a help page: every word "-x" or "--name" that begins a line or follows a comma there.
std::vector<std::string> options_of(const App& app, Arguments line) {
  line.push_back("--help");
  std::ostringstream page, err;
  run_command_line(app, line, page, err);
  std::istringstream lines(page.str());
  std::vector<std::string> out;
  for (std::string text; std::getline(lines, text);) {
    if (text.compare(0, 3, "  -") != 0) continue;
    const auto end = text.find(' ', 2);
    std::istringstream names(text.substr(2, end - 2));
    for (std::string name; std::getline(names, name, ',');) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<Words> all_words(const App& app) {
  std::vector<Words> out{{"", "", options_of(app, {})}};
  for (const Command& command : commands()) {
    Words words{std::string(command.name), std::string(command.summary),
                options_of(app, {std::string(command.name)})};
    const bool inspect = words.command == "inspect", control = words.command == "control";
    for (const ControlCommand& remote : control_commands()) {
      const CommandKind kind = remote.kind;
      if (remote.visible &&
          ((inspect && kind == CommandKind::inspect) || (control && kind == CommandKind::control)))
        words.words.emplace_back(remote.name);
    }
    if (words.command == "help")
      for (const Command& other : commands()) words.words.emplace_back(other.name);
    out.push_back(std::move(words));
  }
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string names(const std::vector<Words>& all, const char* separator) {
  std::string out;
  for (const Words& words : all)
    if (!words.command.empty()) out += (out.empty() ? "" : separator) + words.command;
  return out;
}

std::string bash(const std::vector<Words>& all) {
  std::string out =
      "# celeriac: completion for bash. Load it with\n#   source <(celeriac shell-completion bash)\n"
      "_celeriac() {\n"
      "  local word command= i words=\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"${COMP_WORDS[i]}\" in\n"
      "      " +
      names(all, "|") +
      ") command=${COMP_WORDS[i]}; break ;;\n"
      "    esac\n"
      "  done\n"
      "  word=${COMP_WORDS[COMP_CWORD]}\n"
      "  case \"$command\" in\n";
  for (const Words& words : all) {
    out += "    '" + words.command + "') words='" + joined(words.words) +
           (words.command.empty() ? " " + names(all, " ") : "") + "' ;;\n";
  }
  return out +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "}\n"
         "complete -o default -F _celeriac celeriac\n";
}

std::string zsh(const std::vector<Words>& all) {
  return "#compdef celeriac\n# celeriac: completion for zsh. Load it with\n#   source <(celeriac "
         "shell-completion zsh)\n"
         "autoload -Uz +X compinit bashcompinit\n(( $+functions[compdef] )) || compinit\nbashcompinit\n" +
         bash(all);
}

std::string fish(const std::vector<Words>& all) {
  std::string out =
      "# celeriac: completion for fish. Load it with\n#   celeriac shell-completion fish | source\n";
  const std::string none = "-n 'not __fish_seen_subcommand_from " + names(all, " ") + "'";
  for (const Words& words : all) {
    if (!words.command.empty()) {
      out += "complete -c celeriac " + none + " -f -a " + words.command + " -d '" + words.summary + "'\n";
    }
    const std::string when =
        words.command.empty() ? none : "-n '__fish_seen_subcommand_from " + words.command + "'";
    for (const std::string& word : words.words) {
      const std::string how = word.rfind("--", 0) == 0  ? "-l " + word.substr(2)
                              : word.rfind('-', 0) == 0 ? "-s " + word.substr(1)
                                                        : "-f -a " + word;
      out += "complete -c celeriac " + when + " " + how + "\n";
    }
  }
  return out;
}

}  // namespace

int shell_completion_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("celeriac shell-completion",
                      "Prints a script that completes commands and options, to be loaded by the shell: "
                      "`source <(celeriac shell-completion bash)`.");
  std::string shell;
  options->add_option("shell", shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("");
  if (auto code = read_command(context, *options, args)) return *code;
  const auto all = all_words(context.app);
  context.out << (shell == "bash" ? bash(all) : shell == "zsh" ? zsh(all) : fish(all));
  return exit_code::ok;
}

}  // namespace celeriac
