#include "worker/beat/entry.hpp"

#include "config/nearest.hpp"
#include "protocol/time.hpp"
#include "worker/outgoing.hpp"
#include "worker/routes.hpp"

#include <array>
#include <cmath>

namespace celeriac {
namespace {

constexpr std::array<std::string_view, 11> option_names = {
    "queue",           "routing_key",   "priority", "expires",    "countdown", "time_limit",
    "soft_time_limit", "ignore_result", "headers",  "serializer", "exchange"};

Expected<Json> read_json(const std::string& text, bool array, const char* what) {
  auto value = parse_json(text);
  if (!value) return unexpected(std::string(what) + ": " + value.error().what);
  if (array ? !value->is_array() : !value->is_object()) {
    return unexpected(std::string(what) + (array ? ": expects a list" : ": expects a table"));
  }
  return value;
}

Expected<double> read_seconds(const Json& value, const std::string& name) {
  if (value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() >= 0)
    return value.get<double>();
  return unexpected("options." + name + ": expects seconds, 0 or more");
}

}  // namespace

Expected<void> BeatEntry::read_options(const Json& options) {
  for (const auto& [name, value] : options.items()) {
    const auto fault = [&name = name](const std::string& what) {
      return unexpected("options." + name + ": " + what);
    };
    if (name == "queue" || name == "routing_key") {
      if (!value.is_string() || value.get_ref<const std::string&>().empty())
        return fault("expects a queue's name");
      if (name == "queue" || options_.queue.empty()) options_.queue = value.get<std::string>();
    } else if (name == "priority") {
      if (!value.is_number_integer() || value.get<std::int64_t>() < 0 || value.get<std::int64_t>() > 255) {
        return fault("expects 0 to 255");
      }
      options_.priority = value.get<int>();
    } else if (name == "expires" && value.is_string()) {
      auto time = parse_iso8601(value.get_ref<const std::string&>());
      if (!time) return fault(time.error().what);
      options_.expires = *time;
    } else if (name == "expires" || name == "countdown" || name == "time_limit" ||
               name == "soft_time_limit") {
      auto seconds = read_seconds(value, name);
      if (!seconds) return tl::unexpected(seconds.error());
      (name == "expires"      ? expires_in_
       : name == "countdown"  ? options_.countdown
       : name == "time_limit" ? options_.time_limit
                              : options_.soft_time_limit) = *seconds;
    } else if (name == "ignore_result") {
      if (!value.is_boolean()) return fault("expects true or false");
      options_.ignore_result = value.get<bool>();
    } else if (name == "headers") {
      if (!value.is_object()) return fault("expects a table");
      options_.headers = value;
    } else if (name == "serializer") {
      if (value != "json") return fault("only json is written");
    } else if (name == "exchange") {
      if (value != "") return fault("tasks go to the default exchange; name a queue");
    } else {
      const auto near = nearest_word(name, {option_names.begin(), option_names.end()});
      return fault("no such option" +
                   (near.empty() ? std::string() : "; did you mean " + std::string(near) + "?"));
    }
  }
  if (options_.soft_time_limit && options_.time_limit && *options_.soft_time_limit > *options_.time_limit) {
    return unexpected("options.soft_time_limit must not be above time_limit");
  }
  return {};
}

Expected<BeatEntry> BeatEntry::read(const std::string& name, const BeatEntrySettings& from,
                                    const Settings& settings, const App& app) {
  const auto fault = [&](const Error& error) {
    return unexpected("beat_schedule." + name + ": " + error.what);
  };
  if (from.task.empty()) return fault(Error{"names no task"});
  const auto when = parse_json(from.schedule);
  if (!when || when->is_null()) return fault(Error{"has no schedule"});
  auto schedule = Schedule::read(*when, from.relative);
  if (!schedule) return fault(schedule.error());
  BeatEntry entry(name, from.task, std::move(*schedule));
  auto args = read_json(from.args, true, "args");
  if (!args) return fault(args.error());
  auto kwargs = read_json(from.kwargs, false, "kwargs");
  if (!kwargs) return fault(kwargs.error());
  auto options = read_json(from.options, false, "options");
  if (!options) return fault(options.error());
  entry.args_ = std::move(*args);
  entry.kwargs_ = std::move(*kwargs);
  if (auto read = entry.read_options(*options); !read) return fault(read.error());
  if (entry.options_.queue.empty()) entry.options_.queue = route(entry.task_, settings, app);
  if (!entry.options_.priority) entry.options_.priority = settings.task_default_priority;
  return entry;
}

Message BeatEntry::message(double now) const {
  SendOptions options = options_;
  if (expires_in_) options.expires = now + *expires_in_;
  return build_send(TaskHeaders{}, task_, args_, kwargs_, std::move(options), now).outgoing.message;
}

Expected<std::vector<BeatEntry>> read_beat_schedule(const Settings& settings, const App& app) {
  std::vector<BeatEntry> entries;
  for (const auto& [name, from] : settings.beat_schedule) {
    auto entry = BeatEntry::read(name, from, settings, app);
    if (!entry) return tl::unexpected(entry.error());
    entries.push_back(std::move(*entry));
  }
  return entries;
}

}  // namespace celeriac
