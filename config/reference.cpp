#include "config/reference.hpp"

#include "config/settings_table.hpp"

#include <algorithm>

namespace celeriac {
namespace {

std::string_view type_text(const SettingInfo& info) {
  switch (info.kind) {
    case SettingKind::boolean:
      return "true or false";
    case SettingKind::integer:
      return "whole number";
    case SettingKind::number:
      return "number";
    case SettingKind::seconds:
      return "seconds";
    case SettingKind::text:
      return "text";
    case SettingKind::text_list:
      return "list of texts";
    case SettingKind::integer_list:
      return "list of whole numbers";
    case SettingKind::table:
      return "table";
  }
  return {};
}

std::string default_text(const SettingInfo& info) {
  Json value = info.get(Settings{});
  if (value.is_null()) return "none";
  if (info.kind == SettingKind::table && info.name != "task_routes" && !setting_members(info.name).empty())
    return "see below";
  if (info.name == "result_backend_transport_options" || info.name == "redis_backend_use_ssl")
    return "see below";
  return dump_json(value);
}

// A vertical bar ends a cell; control characters would vanish.
std::string cell(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

void write_members(std::string& out, std::string_view title, std::string_view setting) {
  out += "\n### " + std::string(title) + "\n\n| Member | Type | Default | Meaning |\n|---|---|---|---|\n";
  for (const auto& member : setting_members(setting)) {
    SettingInfo info{};
    info.kind = member.kind;
    out += "| `" + std::string(member.name) + "` | " + std::string(type_text(info)) + " | `" +
           cell(member.default_text) + "` | " + cell(member.meaning) + " |\n";
  }
}

}  // namespace

std::string settings_markdown() {
  std::string out =
      "# Settings\n\n"
      "<!-- Written by `celeriac settings --markdown`; a test compares them. -->\n\n"
      "Names and defaults are Celery's, except where the meaning says \"not in Celery\". A later source "
      "wins:\n\n"
      "1. defaults\n"
      "2. a TOML file: `--config FILE`, `$CELERIAC_CONFIG`, or `./celeriac.toml` when there is one\n"
      "3. environment: `CELERY_` and the name in capitals, such as `CELERY_WORKER_CONCURRENCY`; also "
      "`BROKER_URL` and\n"
      "   `RESULT_BACKEND`. An empty variable counts as not set\n"
      "4. command line: the option shown, or `name=value` after the worker's options\n\n"
      "In the environment a list is separated by commas, and a table is a JSON object or "
      "`name=value,name=value`.\n"
      "An unknown key or a value of the wrong type stops the command with a message that names the place.\n";
  std::string_view section;
  for (const auto& info : settings_table()) {
    if (info.section != section) {
      section = info.section;
      out += "\n## " + std::string(section) +
             "\n\n| Setting | Type | Default | Option | Meaning |\n|---|---|---|---|---|\n";
    }
    std::string option = info.option.empty() ? "" : "`" + std::string(info.option) + "`";
    for (std::size_t at = 0; (at = option.find(',', at)) != std::string::npos; at += 2)
      option.replace(at, 1, ", ");
    auto standard = default_text(info);
    bool plain = standard == "none" || standard == "see below";
    out += "| `" + std::string(info.name) + "` | " + std::string(type_text(info)) + " | " +
           (plain ? standard : "`" + cell(standard) + "`") + " | " + option + " | " + cell(info.meaning) +
           (info.choices.empty() ? "" : " (`" + std::string(info.choices) + "`)") + " |\n";
  }
  out += "\n## Tables\n";
  write_members(out, "`broker_transport_options` and `result_backend_transport_options`",
                "broker_transport_options");
  write_members(out, "One entry of `beat_schedule`", "beat_schedule");
  write_members(out, "One entry of `task_queues`", "task_queues");
  write_members(out, "`broker_use_ssl` and `redis_backend_use_ssl`", "broker_use_ssl");
  out +=
      "\n## Settings of Celery without effect\n\nThey are accepted with a warning.\n\n| Setting | Why "
      "|\n|---|---|\n";
  for (const auto& [name, why] : unsupported_settings())
    out += "| `" + std::string(name) + "` | " + std::string(why) + " |\n";
  return out;
}

std::string settings_text() {
  std::string out;
  std::string_view section;
  for (const auto& info : settings_table()) {
    if (info.section != section) {
      section = info.section;
      out += (out.empty() ? "" : "\n") + std::string(section) + "\n";
    }
    out += "  " + std::string(info.name) + " = " + default_text(info) + "\n      " +
           std::string(info.meaning) + " (" + std::string(type_text(info)) + ")\n";
  }
  return out;
}

std::string settings_json() {
  Json out = Json::object();
  for (const auto& info : settings_table()) {
    Json& entry = out[std::string(info.name)];
    entry["type"] = std::string(type_text(info));
    entry["default"] = info.get(Settings{});
    entry["meaning"] = std::string(info.meaning);
    entry["environment"] = info.environment();
    entry["option"] = info.option.empty() ? Json(nullptr) : Json(std::string(info.option));
  }
  return dump_json(out);
}

}  // namespace celeriac
