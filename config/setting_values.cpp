#include "config/setting_values.hpp"

#include "config/nearest.hpp"

#include <cmath>
#include <limits>

namespace celeriac::setting_values {
namespace {

std::string shown(const Json& value) {
  auto text = dump_json(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

template <class T>
Result read_whole(const Json& value, T& out) {
  std::int64_t number = 0;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t(std::numeric_limits<T>::max()))
    return expects("a smaller whole number", value);
  if (value.is_number_integer()) {
    number = value.get<std::int64_t>();
  } else if (value.is_number_float()) {
    double d = value.get<double>();
    if (!(d >= 0 && d < 9e15 && std::floor(d) == d)) return expects("a whole number, 0 or more", value);
    number = static_cast<std::int64_t>(d);
  } else {
    return expects("a whole number, 0 or more", value);
  }
  if (number < 0) return expects("a whole number, 0 or more", value);
  if (number > std::numeric_limits<T>::max()) return expects("a smaller whole number", value);
  out = static_cast<T>(number);
  return {};
}

// One member of a nested table.
template <class Owner>
struct Member {
  std::string_view name;
  SettingKind kind;
  Result (*set)(Owner&, const Json&, Warnings&);
  Json (*get)(const Owner&);
  std::string_view meaning;
};

template <class Owner, auto Pointer>
Member<Owner> member(std::string_view name, std::string_view meaning) {
  using T = std::remove_reference_t<decltype(std::declval<Owner&>().*Pointer)>;
  return {name, kind_of(static_cast<T*>(nullptr)),
          [](Owner& owner, const Json& value, Warnings& w) -> Result {
            if (value.is_null()) {
              const Owner defaults;
              owner.*Pointer = defaults.*Pointer;
              return {};
            }
            return read(value, owner.*Pointer, w);
          },
          [](const Owner& owner) { return write(owner.*Pointer); }, meaning};
}

const std::vector<Member<RedisOptions>>& redis_table() {
  using R = RedisOptions;
  static const std::vector<Member<R>> table = {
      member<R, &R::visibility_timeout>(
          "visibility_timeout", "after this long any worker may take back a message that nobody renews"),
      member<R, &R::global_keyprefix>("global_keyprefix", "put in front of every key and channel"),
      member<R, &R::priority_steps>("priority_steps", "priorities that have a list of their own, ascending"),
      member<R, &R::sep>("sep", "between a queue's name and its priority step"),
      member<R, &R::queue_order_strategy>("queue_order_strategy", "priority, round_robin or sorted"),
      member<R, &R::unacked_key>("unacked_key", "hash of messages that were taken and not acknowledged"),
      member<R, &R::unacked_index_key>("unacked_index_key", "sorted set that says when each was taken"),
      member<R, &R::unacked_mutex_key>("unacked_mutex_key", "lock of the sweep over the two"),
      member<R, &R::unacked_mutex_expire>("unacked_mutex_expire", "how long that lock lives"),
      member<R, &R::lease>("lease", "how soon the messages of a dead worker come back"),
      member<R, &R::socket_timeout>("socket_timeout", "without any answer the connection is given up"),
      member<R, &R::socket_connect_timeout>("socket_connect_timeout", "for one attempt to connect"),
      member<R, &R::master_name>("master_name", "with sentinel:// what the sentinels call the master"),
      member<R, &R::sentinel_kwargs>("sentinel_kwargs", "username and password of the sentinels themselves"),
  };
  return table;
}

// A value that only the beat can judge travels as JSON text.
template <auto Pointer>
Member<BeatEntrySettings> beat_member(std::string_view name, SettingKind kind, std::string_view meaning) {
  return {name, kind,
          [](BeatEntrySettings& entry, const Json& value, Warnings&) -> Result {
            entry.*Pointer = dump_json(value);
            return {};
          },
          [](const BeatEntrySettings& entry) {
            return (entry.*Pointer).empty() ? Json(nullptr) : parse_json(entry.*Pointer).value_or(nullptr);
          },
          meaning};
}

const std::vector<Member<BeatEntrySettings>>& beat_entry_table() {
  using B = BeatEntrySettings;
  static const std::vector<Member<B>> table = {
      member<B, &B::task>("task", "the task's name"),
      beat_member<&B::schedule>("schedule", SettingKind::table,
                                "seconds, a crontab such as `\"*/5 * * * *\"`, or a table; see beat.md"),
      beat_member<&B::args>("args", SettingKind::table, "positional arguments, a list"),
      beat_member<&B::kwargs>("kwargs", SettingKind::table, "arguments by name"),
      beat_member<&B::options>("options", SettingKind::table,
                               "of the message: queue, priority, expires, countdown, headers, ..."),
      member<B, &B::relative>("relative", "an interval ends at a full day, hour or minute"),
  };
  return table;
}

// kombu's keys that mean nothing here, because the connection works in another way.
bool ignored_redis_key(std::string_view key) {
  for (std::string_view known : {"ack_emulation",
                                 "body_encoding",
                                 "client_name",
                                 "deadletter_queue",
                                 "fanout_patterns",
                                 "fanout_prefix",
                                 "health_check_interval",
                                 "interval_max",
                                 "interval_start",
                                 "interval_step",
                                 "max_connections",
                                 "max_retries",
                                 "min_other_sentinels",
                                 "polling_interval",
                                 "reauth_check_interval",
                                 "result_chord_ordered",
                                 "retry_on_timeout",
                                 "retry_policy",
                                 "socket_keepalive",
                                 "socket_keepalive_options",
                                 "unacked_restore_interval",
                                 "unacked_restore_limit",
                                 "unacked_restore_throttle",
                                 "confirm_publish",
                                 "client_properties",
                                 "read_timeout",
                                 "write_timeout",
                                 "socket_settings",
                                 "login_method",
                                 "frame_max",
                                 "channel_max"})
    if (key == known) return true;
  return false;
}

Result set_verify(TlsOptions& tls, const Json& value, Warnings&) {
  if (value.is_boolean()) {
    tls.verify = value.get<bool>();
    return {};
  }
  auto text = value.is_string() ? value.get<std::string>() : std::string();
  if (text == "required" || text == "CERT_REQUIRED")
    tls.verify = true;
  else if (text == "none" || text == "CERT_NONE")
    tls.verify = false;
  else if (text == "optional" || text == "CERT_OPTIONAL")
    tls.verify = true;
  else
    return expects("required, optional or none", value);
  return {};
}

const std::vector<Member<TlsOptions>>& tls_table() {
  using T = TlsOptions;
  static const std::vector<Member<T>> table = {
      {"ssl_cert_reqs", SettingKind::text, set_verify,
       [](const T& tls) { return Json(tls.verify ? "required" : "none"); },
       "required: the server's certificate is checked; none: it is not"},
      member<T, &T::ca_certs>("ssl_ca_certs", "file of trusted certificates (PEM)"),
      member<T, &T::certfile>("ssl_certfile", "our certificate (PEM)"),
      member<T, &T::keyfile>("ssl_keyfile", "its key (PEM)"),
      member<T, &T::server_hostname>("server_hostname",
                                     "the name the certificate must have; default: the host"),
  };
  return table;
}

template <class Owner>
Result read_table(const std::vector<Member<Owner>>& table, std::string_view key, const Json& value,
                  Owner& out, Warnings& warnings) {
  for (const auto& entry : table) {
    if (entry.name != key) continue;
    auto done = entry.set(out, value, warnings);
    if (!done) done.error().key = key;
    return done;
  }
  std::vector<std::string_view> names;
  names.reserve(table.size());
  for (const auto& entry : table) names.push_back(entry.name);
  SettingFault fault;
  fault.key = key;
  fault.nearest = nearest_word(key, names);
  fault.unknown = true;
  return tl::unexpected(std::move(fault));
}

template <class Owner>
std::vector<MemberInfo> describe(const std::vector<Member<Owner>>& table) {
  std::vector<MemberInfo> out;
  out.reserve(table.size());
  for (const auto& entry : table)
    out.push_back({entry.name, entry.meaning, entry.kind, dump_json(entry.get({}))});
  return out;
}

template <class Owner>
Json write_table(const std::vector<Member<Owner>>& table, const Owner& owner) {
  Json out = Json::object();
  for (const auto& entry : table) out[std::string(entry.name)] = entry.get(owner);
  return out;
}

}  // namespace

tl::unexpected<SettingFault> expects(std::string_view what, const Json& got) {
  SettingFault fault;
  fault.what = "expects " + std::string(what) + ", not " + shown(got);
  return tl::unexpected(std::move(fault));
}

Result read(const Json& value, bool& out, Warnings&) {
  if (!value.is_boolean()) return expects("true or false", value);
  out = value.get<bool>();
  return {};
}

Result read(const Json& value, int& out, Warnings&) { return read_whole(value, out); }
Result read(const Json& value, std::int64_t& out, Warnings&) { return read_whole(value, out); }

Result read(const Json& value, double& out, Warnings&) {
  if (!value.is_number()) return expects("seconds, 0 or more", value);
  double number = value.get<double>();
  if (!std::isfinite(number) || number < 0) return expects("seconds, 0 or more", value);
  out = number;
  return {};
}

Result read(const Json& value, std::string& out, Warnings&) {
  if (!value.is_string()) return expects("text", value);
  out = value.get<std::string>();
  return {};
}

Result read(const Json& value, std::vector<std::string>& out, Warnings&) {
  if (!value.is_array()) return expects("a list of texts", value);
  std::vector<std::string> list;
  for (const auto& item : value) {
    if (!item.is_string()) return expects("a list of texts", value);
    list.push_back(item.get<std::string>());
  }
  out = std::move(list);
  return {};
}

Result read(const Json& value, std::vector<int>& out, Warnings& warnings) {
  if (!value.is_array() || value.empty()) return expects("a list of whole numbers", value);
  std::vector<int> list;
  for (const auto& item : value) {
    int number = 0;
    if (!read(item, number, warnings)) return expects("a list of whole numbers", value);
    list.push_back(number);
  }
  out = std::move(list);
  return {};
}

Result read(const Json& value, std::map<std::string, std::string>& out, Warnings&) {
  if (!value.is_object()) return expects("a table of texts", value);
  std::map<std::string, std::string> map;
  for (const auto& [key, item] : value.items()) {
    if (!item.is_string()) {
      auto fault = expects("text", item);
      fault.value().key = key;
      return fault;
    }
    map[key] = item.get<std::string>();
  }
  out = std::move(map);
  return {};
}

Result read(const Json& value, RedisOptions& out, Warnings& warnings) {
  if (!value.is_object()) return expects("a table", value);
  for (const auto& [key, item] : value.items()) {
    if (ignored_redis_key(key)) {
      warnings.push_back("transport option '" + key + "' has no effect here");
      continue;
    }
    if (auto done = read_table(redis_table(), key, item, out, warnings); !done) return done;
  }
  for (std::size_t i = 1; i < out.priority_steps.size(); ++i)
    if (out.priority_steps[i] <= out.priority_steps[i - 1]) {
      auto fault = expects("ascending whole numbers", write(out.priority_steps));
      fault.value().key = "priority_steps";
      return fault;
    }
  const auto& order = out.queue_order_strategy;
  if (order != "priority" && order != "round_robin" && order != "sorted") {
    auto fault = expects("priority, round_robin or sorted", Json(order));
    fault.value().key = "queue_order_strategy";
    return fault;
  }
  return {};
}

Result read(const Json& value, TlsOptions& out, Warnings& warnings) {
  if (value.is_boolean()) {  // Celery's True: TLS with the defaults (the URL's scheme already asks for it)
    out = TlsOptions{};
    out.wanted = value.get<bool>();
    return {};
  }
  if (!value.is_object()) return expects("a table or true", value);
  out.wanted = true;
  for (const auto& [key, item] : value.items()) {
    bool short_form = key == "cert_reqs" || key == "ca_certs" || key == "certfile" || key == "keyfile";
    auto name = short_form ? "ssl_" + key : key;
    if (auto done = read_table(tls_table(), name, item, out, warnings); !done) return done;
  }
  return {};
}

Result read(const Json& value, std::map<std::string, BeatEntrySettings>& out, Warnings& warnings) {
  if (!value.is_object()) return expects("a table of entries", value);
  std::map<std::string, BeatEntrySettings> entries;
  for (const auto& [name, entry] : value.items()) {
    const auto at = [&name = name](Result fault) {
      fault.error().key = name + (fault.error().key.empty() ? "" : "." + fault.error().key);
      return fault;
    };
    if (!entry.is_object()) return at(expects("a table with task and schedule", entry));
    for (const auto& [key, item] : entry.items())
      if (auto done = read_table(beat_entry_table(), key, item, entries[name], warnings); !done)
        return at(done);
  }
  out = std::move(entries);
  return {};
}

Json write(bool value) { return value; }
Json write(int value) { return value; }
Json write(std::int64_t value) { return value; }
Json write(double value) {
  if (std::floor(value) == value && std::abs(value) < 9e15) return static_cast<std::int64_t>(value);
  return value;
}
Json write(const std::string& value) { return value; }
Json write(const std::vector<std::string>& value) { return value; }
Json write(const std::vector<int>& value) { return value; }
Json write(const std::map<std::string, std::string>& value) {
  Json out = Json::object();
  for (const auto& [key, item] : value) out[key] = item;
  return out;
}
Json write(const RedisOptions& value) { return write_table(redis_table(), value); }
Json write(const TlsOptions& value) { return write_table(tls_table(), value); }

Json write(const std::map<std::string, BeatEntrySettings>& value) {
  Json out = Json::object();
  for (const auto& [name, entry] : value) out[name] = write_table(beat_entry_table(), entry);
  return out;
}

std::vector<MemberInfo> beat_entry_members() { return describe(beat_entry_table()); }
std::vector<MemberInfo> redis_members() { return describe(redis_table()); }
std::vector<MemberInfo> tls_members() { return describe(tls_table()); }

}  // namespace celeriac::setting_values
