#include "cli/message_facts.hpp"

#include "protocol/envelope.hpp"
#include "protocol/message.hpp"
#include "protocol/time.hpp"
#include "worker/logging.hpp"
#include "worker/request.hpp"

#include <fnmatch.h>

namespace celeriac {
namespace {

// Celery writes the arguments as "(1, 2)" and "{'x': 3}"; the brackets go.
std::string_view inner(std::string_view text) {
  return text.size() < 2 ? std::string_view() : text.substr(1, text.size() - 2);
}

}  // namespace

MessageFacts message_facts(std::string_view bytes) {
  MessageFacts facts;
  facts.bytes = bytes.size();
  auto message = decode_envelope(bytes);
  if (!message) {
    facts.problem = message.error().what;
    return facts;
  }
  facts.priority = message->properties.priority;
  facts.redelivered = message->properties.redelivered;
  const std::vector<std::string> accept = {"application/json"};
  auto headers = read_task(*message, accept);
  if (!headers) {
    facts.problem = headers.error().cause;
    facts.task = headers.error().task;
    facts.id = headers.error().task_id;
    return facts;
  }
  facts.task = headers->task;
  facts.id = headers->id;
  facts.eta = headers->eta_text;
  facts.origin = headers->origin;
  facts.retries = headers->retries;
  auto reprs = argument_reprs(*message, *headers, accept);
  redact(reprs.args);
  redact(reprs.kwargs);
  facts.args = std::move(reprs.args);
  facts.kwargs = std::move(reprs.kwargs);
  return facts;
}

Json MessageFacts::json() const {
  Json out = Json::object();
  out["task"] = task.empty() ? Json(nullptr) : Json(task);
  out["id"] = id.empty() ? Json(nullptr) : Json(id);
  out["args"] = args;
  out["kwargs"] = kwargs;
  out["eta"] = eta.empty() ? Json(nullptr) : Json(eta);
  out["priority"] = priority ? Json(*priority) : Json(nullptr);
  out["retries"] = retries;
  out["redelivered"] = redelivered;
  out["origin"] = origin.empty() ? Json(nullptr) : Json(origin);
  out["bytes"] = bytes;
  out["problem"] = problem.empty() ? Json(nullptr) : Json(problem);
  return out;
}

std::string MessageFacts::call() const {
  if (!problem.empty()) return "unreadable: " + problem;
  std::string_view positional = inner(args), named = inner(kwargs);
  if (positional.ends_with(",")) positional.remove_suffix(1);
  std::string out = task + "(" + std::string(positional);
  if (!positional.empty() && !named.empty()) out += ", ";
  return out + std::string(named) + ")";
}

bool MessageFilter::matches(const MessageFacts& facts, std::string_view bytes) const {
  if (!task.empty() && ::fnmatch(task.c_str(), facts.task.c_str(), 0) != 0) return false;
  if (!id.empty() && facts.id != id) return false;
  if (contains.empty()) return true;
  for (const auto* text : {&facts.task, &facts.id, &facts.args, &facts.kwargs})
    if (text->find(contains) != text->npos) return true;
  return !facts.problem.empty() && bytes.find(contains) != bytes.npos;
}

std::string short_time(double unix_seconds) {
  auto text = format_iso8601(static_cast<double>(static_cast<std::int64_t>(unix_seconds)));
  text.resize(19);
  text[10] = ' ';
  return text + "Z";
}

}  // namespace celeriac
