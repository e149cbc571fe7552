// The one table of settings: file, environment, command line, JSON and the reference page all read it.
//
// A setting's value travels as Json between its source and the Settings struct, so every source has the same
// types and the same errors.
#pragma once

#include "config/settings.hpp"
#include "protocol/json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

enum class SettingKind { boolean, integer, number, seconds, text, text_list, integer_list, table };

// Why a value does not fit. `key` is the setting's name, with ".member" for nested tables.
struct SettingFault {
  std::string key;
  std::string what;      // "expects a whole number, not \"many\""
  std::string nearest;   // the known key it may have been meant to be; empty: none
  bool unknown = false;  // no such key

  std::string text() const;
};
template <class T>
using SettingResult = tl::expected<T, SettingFault>;

struct SettingInfo {
  std::string_view name;
  SettingKind kind;
  std::string_view section;  // heading on the reference page
  std::string_view option;   // of `celeriac worker`, in CLI11's form "-c,--concurrency"; empty: none
  std::string_view choices;  // separated by spaces; empty: any value
  std::string_view meaning;  // one line
  bool optional;             // unset by default; null unsets it
  // Celery's None is null here: it means unset, or the default where a value is needed.
  SettingResult<void> (*set)(Settings&, const Json&, std::vector<std::string>& warnings);
  Json (*get)(const Settings&);

  std::string environment() const;  // "CELERY_WORKER_CONCURRENCY"
};

const std::vector<SettingInfo>& settings_table();
const SettingInfo* find_setting(std::string_view name);

// Members of the tables inside a setting, for the reference page.
struct MemberInfo {
  std::string_view name, meaning;
  SettingKind kind;
  std::string default_text;
};
std::vector<MemberInfo> setting_members(std::string_view setting);

// Settings that Celery has and this worker does not act on: why not. Empty for all others.
std::string_view why_unsupported(std::string_view name);
const std::vector<std::pair<std::string_view, std::string_view>>& unsupported_settings();

// Sets one setting by name: the way every source goes. An unsupported one becomes a warning; choices and
// types are checked; an unknown one is a fault with the nearest known key.
SettingResult<void> assign_setting(Settings& settings, std::string_view name, const Json& value,
                                   std::vector<std::string>& warnings);

// Reads text of an environment variable or an option as a setting's value: lists by comma, tables as
// JSON or k=v,k=v.
SettingResult<Json> read_setting_text(const SettingInfo& setting, std::string_view text);

struct AppliedJson {
  std::vector<std::string> unknown;  // keys that no setting has; they were skipped
  std::vector<std::string> warnings;
};
// Applies an object of settings. An ill-typed value is an error, an unknown key is reported.
Expected<AppliedJson> apply_json(Settings& settings, const Json& object);

}  // namespace celeriac
