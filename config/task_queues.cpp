// The entries of task_queues: Celery's words for a queue, as kombu.Queue and the table form take them.
#include "config/task_queues.hpp"

#include "config/nearest.hpp"
#include "config/setting_values.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>

namespace celeriac::setting_values {
namespace {

// An entry while it is read: what is said in other words than AMQP's becomes an argument last, and wins.
struct ReadQueue {
  QueueSettings settings;
  Json arguments = Json::object(), more = Json::object();
};

struct QueueField {
  std::string_view name;
  SettingKind kind;
  std::string_view standard, meaning;
  Result (*set)(ReadQueue&, const Json&, Warnings&);
};

template <auto Pointer>
Result set_text(ReadQueue& queue, const Json& value, Warnings& warnings) {
  return read(value, queue.settings.*Pointer, warnings);
}

Result set_exchange_type(ReadQueue& queue, const Json& value, Warnings&) {
  constexpr std::array<std::string_view, 4> types = {"direct", "topic", "fanout", "headers"};
  if (!value.is_string() || std::find(types.begin(), types.end(), value.get<std::string>()) == types.end())
    return expects("direct, topic, fanout or headers", value);
  queue.settings.exchange_type = value.get<std::string>();
  return {};
}

Result set_arguments(ReadQueue& queue, const Json& value, Warnings&) {
  if (!value.is_object()) return expects("a table", value);
  queue.arguments = value;
  return {};
}

// A whole number that the broker knows as `argument`.
Result set_count(ReadQueue& queue, const char* argument, const Json& value, Warnings& warnings) {
  std::int64_t count = 0;
  if (auto done = read(value, count, warnings); !done) return done;
  queue.more[argument] = count;
  return {};
}

// Seconds, which are milliseconds to the broker.
Result set_time(ReadQueue& queue, const char* argument, const Json& value, Warnings& warnings) {
  double seconds = 0;
  if (auto done = read(value, seconds, warnings); !done) return done;
  if (seconds > 9e12) return expects("fewer seconds", value);
  queue.more[argument] = static_cast<std::int64_t>(std::floor(seconds * 1000));
  return {};
}

const std::vector<QueueField>& queue_fields() {
  using Q = QueueSettings;
  static const std::vector<QueueField> fields = {
      {"exchange", SettingKind::text, "\"\"", "it is bound to this exchange; empty: task_default_queue",
       set_text<&Q::exchange>},
      {"exchange_type", SettingKind::text, "\"direct\"", "direct, topic, fanout or headers",
       set_exchange_type},
      {"routing_key", SettingKind::text, "\"\"", "with this key; empty: the queue's name",
       set_text<&Q::routing_key>},
      {"queue_arguments", SettingKind::table, "{}",
       "x-queue-type, x-dead-letter-exchange and others of RabbitMQ's", set_arguments},
      {"max_priority", SettingKind::integer, "null", "x-max-priority",
       [](ReadQueue& queue, const Json& value, Warnings& w) {
         return set_count(queue, "x-max-priority", value, w);
       }},
      {"message_ttl", SettingKind::seconds, "null", "messages are dropped after this long",
       [](ReadQueue& queue, const Json& value, Warnings& w) {
         return set_time(queue, "x-message-ttl", value, w);
       }},
      {"expires", SettingKind::seconds, "null", "the queue is deleted when unused for this long",
       [](ReadQueue& queue, const Json& value, Warnings& w) {
         return set_time(queue, "x-expires", value, w);
       }},
      {"max_length", SettingKind::integer, "null", "most messages in it",
       [](ReadQueue& queue, const Json& value, Warnings& w) {
         return set_count(queue, "x-max-length", value, w);
       }},
      {"max_length_bytes", SettingKind::integer, "null", "most bytes in it",
       [](ReadQueue& queue, const Json& value, Warnings& w) {
         return set_count(queue, "x-max-length-bytes", value, w);
       }},
  };
  return fields;
}

// kombu's words that are not acted on: queues and exchanges are durable and stay.
bool is_ignored(std::string_view key) {
  for (std::string_view known :
       {"alias", "auto_delete", "binding_arguments", "bindings", "consumer_arguments", "delivery_mode",
        "durable", "exchange_arguments", "exchange_auto_delete", "exchange_durable", "exclusive", "no_ack",
        "no_declare", "on_declared", "queue_auto_delete", "queue_durable"})
    if (key == known) return true;
  return false;
}

Result read_field(ReadQueue& queue, const std::string& name, const std::string& key, const Json& value,
                  Warnings& warnings) {
  std::vector<std::string_view> names;
  for (const auto& field : queue_fields()) {
    names.push_back(field.name);
    if (field.name != (key == "binding_key" ? "routing_key" : key)) continue;
    auto done = value.is_null() ? Result() : field.set(queue, value, warnings);  // Celery's None: not given
    if (!done) done.error().key = key;
    return done;
  }
  if (is_ignored(key)) {
    warnings.push_back("task_queues: '" + key + "' of " + name + " has no effect here");
    return {};
  }
  SettingFault fault;
  fault.key = key;
  fault.nearest = nearest_word(key, names);
  fault.unknown = true;
  return tl::unexpected(std::move(fault));
}

// `in_list`: the entry has its name within.
Result read_queue(const std::string& name, bool in_list, const Json& entry,
                  std::map<std::string, QueueSettings>& out, Warnings& warnings) {
  ReadQueue queue;
  for (const auto& [key, value] : entry.items()) {
    if (in_list && key == "name") continue;
    if (auto done = read_field(queue, name, key, value, warnings); !done) return done;
  }
  queue.arguments.update(queue.more);
  queue.settings.queue_arguments = dump_json(queue.arguments);
  if (!out.emplace(name, std::move(queue.settings)).second) return expects("each queue once", Json(name));
  return {};
}

}  // namespace

Result read(const Json& value, std::map<std::string, QueueSettings>& out, Warnings& warnings) {
  std::map<std::string, QueueSettings> queues;
  const auto add = [&](const std::string& name, bool in_list, const Json& entry) -> Result {
    auto done = name.empty() || name.size() > 255 ? expects("a name of 1 to 255 bytes", Json(name))
                                                  : read_queue(name, in_list, entry, queues, warnings);
    if (!done) done.error().key = name + (done.error().key.empty() ? "" : "." + done.error().key);
    return done;
  };
  const Json nothing = Json::object();
  if (value.is_object()) {
    for (const auto& [name, entry] : value.items()) {
      if (!entry.is_object() && !entry.is_null()) {
        auto fault = expects("a table", entry);
        fault.value().key = name;
        return fault;
      }
      if (auto done = add(name, false, entry.is_null() ? nothing : entry); !done) return done;
    }
  } else if (value.is_array()) {
    for (const auto& entry : value) {
      const auto name = entry.is_object() ? entry.find("name") : entry.end();
      if (!entry.is_object() || name == entry.end() || !name->is_string())
        return expects("tables with 'name'", entry);
      if (auto done = add(name->get<std::string>(), true, entry); !done) return done;
    }
  } else {
    return expects("a table of queues, or a list of tables with 'name'", value);
  }
  out = std::move(queues);
  return {};
}

Json write(const std::map<std::string, QueueSettings>& value) {
  Json out = Json::object();
  for (const auto& [name, queue] : value) {
    Json& entry = out[name] = Json::object();
    entry["exchange"] = queue.exchange;
    entry["exchange_type"] = queue.exchange_type;
    entry["routing_key"] = queue.routing_key;
    entry["queue_arguments"] = parse_json(queue.queue_arguments).value_or(Json::object());
  }
  return out;
}

std::vector<MemberInfo> queue_members() {
  std::vector<MemberInfo> out;
  for (const auto& field : queue_fields())
    out.push_back({field.name, field.meaning, field.kind, std::string(field.standard)});
  return out;
}

}  // namespace celeriac::setting_values

namespace celeriac {

QueueSettings queue_settings(const Settings& settings, const std::string& queue) {
  const auto given = settings.task_queues.find(queue);
  QueueSettings out;
  if (given == settings.task_queues.end())
    out.exchange = queue;
  else
    out = given->second;
  if (out.exchange.empty()) out.exchange = settings.task_default_queue;
  if (out.routing_key.empty()) out.routing_key = queue;
  return out;
}

}  // namespace celeriac
