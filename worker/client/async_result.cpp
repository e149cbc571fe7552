#include "protocol/result.hpp"
#include "worker/client.hpp"
#include "worker/client/core.hpp"
#include "worker/client/result_node.hpp"
#include "worker/control/mailbox.hpp"

#include <utility>

namespace celeriac {
namespace {

std::string text(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json value_of(const Json& document) {
  const auto found = document.is_object() ? document.find("result") : document.end();
  return found != document.end() ? *found : Json();
}

TaskError failure_of(const Json& document) {
  const Json stored = value_of(document);
  const std::string type = text(stored, "exc_type"), module = text(stored, "exc_module");
  if (type.empty()) return TaskError("Exception", Json::array({dump_json(stored)}));
  Json args = Json::array();
  if (const auto found = stored.find("exc_message"); found != stored.end()) {
    if (found->is_array())
      args = *found;
    else if (!found->is_null())
      args.push_back(*found);
  }
  return TaskError(type, std::move(args), module.empty() ? "builtins" : module);
}

Json assembled(const ResultNode& node, const std::map<std::string, Json>& documents) {
  if (!node.group) return value_of(documents.at(node.id));
  Json list = Json::array();
  for (const auto& member : node.members) list.push_back(assembled(*member, documents));
  return list;
}

// The tasks whose results are read. Throws when one of them never has any.
std::vector<std::string> readable(const ResultNode& node) {
  std::vector<std::string> ids;
  for (const ResultNode* task : tasks_of(node)) {
    if (task->ignored)
      throw std::logic_error("task " + task->id + " was sent with ignore_result: its result is not stored");
    ids.push_back(task->id);
  }
  return ids;
}

std::vector<std::string> states(ClientCore& core, const ResultNode& node) {
  std::vector<std::string> out;
  for (const auto& [id, document] : core.fetch(readable(node))) {
    std::string status = document ? text(*document, "status") : std::string();
    out.push_back(status.empty() ? std::string(state::pending) : std::move(status));
  }
  return out;
}

}  // namespace

const std::string& AsyncResult::id() const { return node_->id; }

std::optional<AsyncResult> AsyncResult::parent() const {
  if (!node_->parent) return std::nullopt;
  return AsyncResult(core_, node_->parent);
}

bool AsyncResult::is_group() const { return node_->group; }

std::vector<AsyncResult> AsyncResult::members() const {
  std::vector<AsyncResult> out;
  out.reserve(node_->members.size());
  for (const auto& member : node_->members) out.push_back(AsyncResult(core_, member));
  return out;
}

Json AsyncResult::as_tuple() const { return result_tuple(*node_); }

std::string AsyncResult::state() const {
  const auto all = states(*core_, *node_);
  if (!node_->group) return all.front();
  bool succeeded = true;
  for (const std::string& one : all) {
    if (is_ready(one) && is_exception(one)) return std::string(state::failure);
    succeeded = succeeded && one == state::success;
  }
  return std::string(succeeded ? state::success : state::pending);
}

bool AsyncResult::ready() const {
  for (const std::string& one : states(*core_, *node_))
    if (!is_ready(one)) return false;
  return true;
}

Json AsyncResult::get(std::optional<Seconds> timeout, bool propagate) const {
  const auto ids = readable(*node_);
  const auto before = propagate ? tasks_before(*node_) : std::set<std::string>();
  const auto documents = core_->wait({ids.begin(), ids.end()}, before, timeout, propagate);
  if (propagate) {
    for (const auto& [id, document] : documents)
      if (is_exception(text(document, "status"))) throw failure_of(document);
  }
  return assembled(*node_, documents);
}

void AsyncResult::forget() const {
  const auto before = tasks_before(*node_);
  std::vector<std::string> ids(before.begin(), before.end());
  for (const ResultNode* task : tasks_of(*node_)) ids.push_back(task->id);
  core_->forget(ids);
}

void AsyncResult::revoke(bool terminate) const {
  ControlRequest request;
  request.method = "revoke";
  request.clock = 1;
  Json& arguments = request.arguments;
  if (node_->group) {
    arguments["task_id"] = Json::array();
    for (const ResultNode* task : tasks_of(*node_)) arguments["task_id"].push_back(task->id);
  } else {
    arguments["task_id"] = node_->id;
  }
  arguments["terminate"] = terminate;
  arguments["signal"] = "SIGTERM";
  ClientCore::Sending sending(*core_, 1);
  sending.broadcast(write_control_request(request, 0));
  sending.finish();
}

}  // namespace celeriac
