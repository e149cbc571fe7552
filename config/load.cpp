#include "config/load.hpp"

#include "config/nearest.hpp"
#include "config/settings_table.hpp"
#include "config/toml_file.hpp"

#include <unistd.h>
#include <filesystem>

namespace celeriac {
namespace {

constexpr std::string_view default_file = "celeriac.toml";

Expected<void> apply_file(const std::string& path, LoadedSettings& loaded) {
  auto file = read_toml_file(path);
  if (!file) return tl::unexpected(file.error());
  for (const auto& [name, value] : file->values.items()) {
    auto before = loaded.warnings.size();
    auto done = assign_setting(loaded.settings, name, value, loaded.warnings);
    auto where = [&](const std::string& key) {
      return path + ":" + std::to_string(file->line_of(key)) + ": ";
    };
    for (auto i = before; i < loaded.warnings.size(); ++i)
      loaded.warnings[i] = where(name) + loaded.warnings[i];
    if (!done) return unexpected(where(done.error().key) + done.error().text());
  }
  loaded.file = path;
  return {};
}

Expected<void> apply_text(const SettingInfo& info, const std::string& text, const std::string& source,
                          LoadedSettings& loaded) {
  auto value = read_setting_text(info, text);
  if (!value) return unexpected(source + ": " + value.error().text());
  auto done = assign_setting(loaded.settings, info.name, *value, loaded.warnings);
  if (!done) return unexpected(source + ": " + done.error().text());
  return {};
}

// Celery reads these two for its global options as well.
std::string second_name(std::string_view setting) {
  if (setting == "broker_url") return "BROKER_URL";
  if (setting == "result_backend") return "RESULT_BACKEND";
  return {};
}

// A variable that is nearly a setting's is a mistake that would otherwise go unnoticed.
void warn_of_mistyped(const Environment& environment, std::vector<std::string>& warnings) {
  std::vector<std::string> names;
  for (const auto& info : settings_table()) names.push_back(info.environment());
  std::vector<std::string_view> views(names.begin(), names.end());
  for (auto at = environment.lower_bound("CELERY_"); at != environment.end(); ++at) {
    const auto& name = at->first;
    if (name.rfind("CELERY_", 0) != 0) break;
    auto near = nearest_word(name, views);
    if (near.empty() || near == name || near.size() > name.size() + 2 || name.size() > near.size() + 2)
      continue;
    // Only one or two letters: other programs have variables of this prefix too.
    std::size_t same = 0;
    while (same < std::min(near.size(), name.size()) && near[same] == name[same]) ++same;
    std::size_t tail = 0;
    while (tail < std::min(near.size(), name.size()) - same &&
           near[near.size() - 1 - tail] == name[name.size() - 1 - tail])
      ++tail;
    if (std::max(near.size(), name.size()) - same - tail <= 2)
      warnings.push_back("environment variable " + name + " is no setting; did you mean " +
                         std::string(near) + "?");
  }
}

Expected<void> apply_environment(const Environment& environment, LoadedSettings& loaded) {
  for (const auto& info : settings_table()) {
    auto name = info.environment();
    auto found = environment.find(name);
    if (found == environment.end()) {
      name = second_name(info.name);
      if (name.empty() || (found = environment.find(name)) == environment.end()) continue;
    }
    // An empty variable is how a shell or a compose file says "not set".
    if (found->second.empty()) continue;
    if (auto done = apply_text(info, found->second, "environment variable " + name, loaded); !done)
      return done;
  }
  warn_of_mistyped(environment, loaded.warnings);
  return {};
}

Expected<std::string> choose_file(const SettingSources& sources) {
  std::error_code error;
  std::string path = sources.file;
  if (path.empty())
    if (auto found = sources.environment.find("CELERIAC_CONFIG"); found != sources.environment.end())
      path = found->second;
  if (!path.empty()) {
    if (!std::filesystem::is_regular_file(path, error))
      return unexpected("settings file " + path + ": no such file");
    return path;
  }
  return std::filesystem::is_regular_file(default_file, error) ? std::string(default_file) : std::string();
}

}  // namespace

Environment process_environment() {
  Environment out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    auto equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

Expected<LoadedSettings> load_settings(const SettingSources& sources) {
  LoadedSettings loaded;
  auto path = choose_file(sources);
  if (!path) return tl::unexpected(path.error());
  if (!path->empty())
    if (auto done = apply_file(*path, loaded); !done) return tl::unexpected(done.error());
  if (auto done = apply_environment(sources.environment, loaded); !done) return tl::unexpected(done.error());
  for (const auto& given : sources.command_line) {
    const SettingInfo* info = find_setting(given.name);
    if (info != nullptr) {
      if (auto done = apply_text(*info, given.text, given.source, loaded); !done)
        return tl::unexpected(done.error());
      continue;
    }
    auto done = assign_setting(loaded.settings, given.name, Json(given.text), loaded.warnings);
    if (!done) return unexpected(given.source + ": " + done.error().text());
  }
  return loaded;
}

Expected<CommandLineSetting> read_assignment(std::string_view text) {
  auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return unexpected("unexpected argument \"" + std::string(text) + "\"; settings are given as name=value");
  std::string name(text.substr(0, equals));
  for (char& c : name) c = c == '.' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (name[0] == '_') name = "worker" + name;
  return CommandLineSetting{name, std::string(text.substr(equals + 1)),
                            "argument " + std::string(text.substr(0, equals))};
}

}  // namespace celeriac
