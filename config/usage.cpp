#include "config/usage.hpp"

#include "config/nearest.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

namespace celeriac {
namespace {

std::string explain_unknown(const CLI::App& app, const std::string& argument) {
  if (argument.empty() || argument[0] != '-') return "unexpected argument '" + argument + "'";
  auto name = argument.substr(0, argument.find('='));
  if (auto global = global_option(argument); !global.empty())
    return std::string(global) + " is a global option: write it before the command, as in\n  celeriac " +
           std::string(global) + " ... " + app.get_name().substr(app.get_name().rfind(' ') + 1) + " ...";
  std::vector<std::string> spellings;
  for (const CLI::Option* option : app.get_options())
    for (const auto& known : option->get_lnames()) spellings.push_back("--" + known);
  std::vector<std::string_view> views(spellings.begin(), spellings.end());
  auto near = name.rfind("--", 0) == 0 ? nearest_word(name, views) : std::string_view();
  return "no such option: " + name + (near.empty() ? "" : "; did you mean " + std::string(near) + "?");
}

}  // namespace

CommandLineExit usage_error(const CLI::App& app, std::string what) {
  return {2,
          "Usage: " + app.get_name() + " [OPTIONS]\nTry '" + app.get_name() +
              " --help' for help.\n\nError: " + std::move(what) + "\n",
          true};
}

std::optional<CommandLineExit> read_arguments(CLI::App& app, const std::vector<std::string>& args) {
  app.allow_extras();
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));  // CLI11 takes them last first
  } catch (const CLI::CallForHelp&) {
    return CommandLineExit{0, app.help(), false};
  } catch (const CLI::CallForVersion& version) {
    return CommandLineExit{0, std::string(version.what()) + "\n", false};
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error.what());
  }
  auto extra = app.remaining();
  std::erase(extra, "--");  // the mark before words that are no options
  if (!extra.empty()) return usage_error(app, explain_unknown(app, extra.front()));
  return std::nullopt;
}

std::string_view global_option(std::string_view argument) {
  auto name = argument.substr(0, argument.find('='));
  for (std::string_view known :
       {"--broker", "--result-backend", "--config", "--quiet", "--no-color", "--app", "--workdir"})
    if (name == known) return known;
  for (std::string_view known : {"-A", "-b"})  // these take a value, which may follow without a space
    if (argument.substr(0, 2) == known) return known;
  for (std::string_view known : {"-q", "-C"})
    if (argument == known) return known;
  return {};
}

}  // namespace celeriac
