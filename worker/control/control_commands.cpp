// Commands that change the node. Their texts are Celery's: clients and Flower show them.
#include "worker/control/command_table.hpp"
#include "worker/control/stamps.hpp"
#include "worker/logging.hpp"

#include "protocol/repr.hpp"
#include "protocol/time.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace celeriac::remote {
namespace {

constexpr std::int64_t most_slots_at_once = 1024;

// Python's repr of a set of texts.
std::string set_repr(const std::vector<std::string>& texts) {
  if (texts.empty()) return "set()";
  std::string list = python_repr(Json(texts), 0);
  list.front() = '{';
  list.back() = '}';
  return list;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

Answer revoke_ids(ControlPanel& panel, const std::vector<std::string>& ids, bool terminate,
                  const Json& signal) {
  int number = 0;
  if (terminate) {
    const auto parsed = parse_signal(signal);
    if (!parsed) return tl::unexpected(parsed.error());
    number = *parsed;
  }
  std::vector<std::string> terminated;
  // First: what is told its end must not be taken for one that merely may not start.
  for (const std::string& id : ids) {
    if (!terminate || !panel.consumer.terminate(id, number)) continue;
    log(LogLevel::info, fmt::format("Terminating {} ({})", id, number));
    terminated.push_back(id);
  }
  panel.consumer.revoke(ids);
  if (terminate) {
    return ok(terminated.empty() ? "terminate: tasks unknown" : "terminate: " + joined(terminated));
  }
  log(LogLevel::info, "Tasks flagged as revoked: " + joined(ids));
  return ok("tasks " + set_repr(ids) + " flagged as revoked");
}

}  // namespace

Json ok(std::string text) { return {{"ok", std::move(text)}}; }
Json nok(std::string text) { return {{"error", std::move(text)}}; }

// ---- tasks ----

Answer revoke(ControlPanel& panel, const CommandArguments& args) {
  return revoke_ids(panel, args.texts("task_id"), args.truth("terminate"), args["signal"]);
}

Answer terminate(ControlPanel& panel, const CommandArguments& args) {
  return revoke_ids(panel, args.texts("task_id"), true, args["signal"]);
}

Answer revoke_by_stamped_headers(ControlPanel& panel, const CommandArguments& args) {
  const auto signal = parse_signal(args["signal"]);
  if (!signal) return tl::unexpected(signal.error());
  Json headers = args["headers"];
  if (headers.is_array()) {
    Json object = Json::object();
    for (const std::string& pair : args.texts("headers")) {
      const auto equals = pair.find('=');
      if (equals == std::string::npos)
        return unexpected(exception_repr("IndexError", "list index out of range"));
      object[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
    headers = std::move(object);
  }
  if (!headers.is_object())
    return unexpected(exception_repr("TypeError", "headers must be a mapping or a list"));
  const std::string shown = python_repr(headers, 0);
  const Stamps wanted = read_stamps(dump_json(headers));

  Json hits = Json::object();
  if (args.truth("terminate")) {
    std::vector<std::string> ids;
    for (const auto& [job, request] : panel.consumer.requests()) {
      if (request.phase != Request::Phase::running || !stamp_matches(request.headers->stamps, wanted))
        continue;
      ids.push_back(request.id());
      for (const auto& [header, values] : read_stamps(request.headers->stamps)) {
        const auto found = wanted.find(header);
        if (found == wanted.end()) continue;
        for (const std::string& value : values) {
          if (std::find(found->second.begin(), found->second.end(), value) != found->second.end()) {
            hits[header].push_back(value);
          }
        }
      }
    }
    for (const std::string& id : ids) panel.consumer.terminate(id, *signal);
  }
  for (const auto& [header, values] : wanted) panel.consumer.revoke_stamped(header, values);
  if (!args.truth("terminate")) return ok("headers " + shown + " flagged as revoked, but not terminated");
  if (hits.empty()) return ok("headers " + shown + " were not terminated");
  return ok("headers " + python_repr(hits, 0) + " revoked");
}

Answer rate_limit(ControlPanel& panel, const CommandArguments& args) {
  const std::string task = args.text("task_name"), rate = args.text("rate_limit");
  const auto per_second = parse_rate(rate);
  if (!per_second) {
    return nok("Invalid rate limit string: " + exception_repr("ValueError", per_second.error().what));
  }
  if (!panel.consumer.set_rate_limit(task, *per_second)) {
    log(LogLevel::error, "Rate limit attempt for unknown task " + task);
    return nok("unknown task");
  }
  // Celery's words: a text is a limit, even "0".
  if (*per_second == 0 && (rate.empty() || !args["rate_limit"].is_string())) {
    log(LogLevel::info, "Rate limits disabled for tasks of type " + task);
    return ok("rate limit disabled successfully");
  }
  log(LogLevel::info, fmt::format("New rate limit for tasks of type {}: {}.", task, rate));
  return ok("new rate limit set successfully");
}

Answer time_limit(ControlPanel& panel, const CommandArguments& args) {
  const std::string task = args.text("task_name");
  const auto soft = args.seconds("soft"), hard = args.seconds("hard");
  if (!soft) return tl::unexpected(soft.error());
  if (!hard) return tl::unexpected(hard.error());
  if (!panel.consumer.set_time_limits(task, soft->value_or(0), hard->value_or(0))) {
    log(LogLevel::error, "Change time limit attempt for unknown task " + task);
    return nok("unknown task");
  }
  const auto shown = [](const std::optional<double>& limit) { return limit ? python_float(*limit) : "None"; };
  log(LogLevel::info,
      fmt::format("New time limits for tasks of type {}: soft={} hard={}", task, shown(*soft), shown(*hard)));
  return ok("time limits set successfully");
}

// ---- queues ----

Answer add_consumer(ControlPanel& panel, const CommandArguments& args) {
  const std::string queue = args.text("queue"), exchange = args.text("exchange");
  if (queue.empty()) return unexpected(exception_repr("ValueError", "a queue needs a name"));
  if (!exchange.empty() && exchange != queue) {
    log(LogLevel::warning,
        fmt::format("add_consumer {}: the exchange '{}' is left to whoever publishes to it", queue,
                    exchange));
  }
  panel.consumer.add_queue(queue);
  log(LogLevel::info, "Started consuming from " + queue);
  return ok("add consumer " + queue);
}

Answer cancel_consumer(ControlPanel& panel, const CommandArguments& args) {
  const std::string queue = args.text("queue");
  log(LogLevel::info, "Canceling queue " + queue);
  panel.consumer.cancel_queue(queue);
  return ok("no longer consuming from " + queue);
}

// ---- the pool ----

namespace {

Answer resize(ControlPanel& panel, const CommandArguments& args, bool grow) {
  const std::string verb = grow ? "grow" : "shrink";
  if (panel.pool_size.autoscaler()) {
    return nok("pool_" + verb + " is not supported with autoscale. Adjust autoscale range instead.");
  }
  const auto n = args.integer("n", 1);
  if (!n) return tl::unexpected(n.error());
  if (*n < 0 || *n > most_slots_at_once) {
    return unexpected(exception_repr("ValueError", fmt::format("n must be 0 to {}", most_slots_at_once)));
  }
  if (grow)
    panel.pool_size.grow(static_cast<unsigned>(*n));
  else
    panel.pool_size.shrink(static_cast<unsigned>(*n));
  return ok("pool will " + verb);
}

}  // namespace

Answer pool_grow(ControlPanel& panel, const CommandArguments& args) { return resize(panel, args, true); }
Answer pool_shrink(ControlPanel& panel, const CommandArguments& args) { return resize(panel, args, false); }

Answer pool_restart(ControlPanel&, const CommandArguments&) {
  return unexpected(exception_repr("ValueError", "Pool restarts not enabled"));
}

Answer autoscale(ControlPanel& panel, const CommandArguments& args) {
  const auto& scaler = panel.pool_size.autoscaler();
  if (!scaler) return unexpected(exception_repr("ValueError", "Autoscale not enabled"));
  const auto max = args.integer("max", scaler->max()), min = args.integer("min", scaler->min());
  if (!max) return tl::unexpected(max.error());
  if (!min) return tl::unexpected(min.error());
  if (*max < 1 || *max > most_slots_at_once || *min < 0 || *min > *max) {
    return unexpected(
        exception_repr("ValueError", fmt::format("max must be 1 to {}, min 0 to max", most_slots_at_once)));
  }
  panel.pool_size.set_bounds(static_cast<unsigned>(*max), static_cast<unsigned>(*min), unix_now());
  return ok(fmt::format("autoscale now max={} min={}", scaler->max(), scaler->min()));
}

// ---- events, life ----

Answer enable_events(ControlPanel& panel, const CommandArguments&) {
  if (!panel.events.enable_tasks()) return ok("task events already enabled");
  log(LogLevel::info, "Events of group {task} enabled by remote.");
  return ok("task events enabled");
}

Answer disable_events(ControlPanel& panel, const CommandArguments&) {
  if (!panel.events.disable_tasks()) return ok("task events already disabled");
  log(LogLevel::info, "Events of group {task} disabled by remote.");
  return ok("task events disabled");
}

Answer heartbeat(ControlPanel& panel, const CommandArguments&) {
  log(LogLevel::debug, "Heartbeat requested by remote.");
  panel.send_heartbeat();
  return Json(nullptr);
}

Answer election(ControlPanel& panel, const CommandArguments& args) {
  if (panel.gossip) panel.gossip->elect(args.text("id"), args.text("topic"), args["action"]);
  return Json(nullptr);
}

Answer shutdown(ControlPanel& panel, const CommandArguments& args) {
  log(LogLevel::warning, args.text("msg", "Got shutdown from remote"));
  panel.shut_down();
  return Json(nullptr);
}

}  // namespace celeriac::remote
