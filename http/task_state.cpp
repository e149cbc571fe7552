#include "http/task_state.hpp"

#include "protocol/result.hpp"

namespace celeriac::http {

Json task_links(const std::string& id) {
  const auto self = "/api/v1/tasks/" + id;
  return Json{{"self", self}, {"result", self + "/result"}, {"cancel", self}, {"events", self + "/events"}};
}

Json state_document(const std::string& id, const Known& known, const Json* meta) {
  Json out = Json::object();
  out["id"] = id;
  out["task"] = known.task;
  out["queue"] = known.queue;
  out["created"] = known.created;
  const std::string state = meta && meta->contains("status") && (*meta)["status"].is_string()
                                ? (*meta)["status"].get<std::string>()
                            : known.sent ? "PENDING"
                                         : "QUEUED";
  out["state"] = state;
  out["final"] = is_ready(state);
  if (meta && is_ready(state)) {
    if (state == state::success) {
      out["result"] = meta->value("result", Json(nullptr));
    } else {
      out["error"] = meta->value("result", Json(nullptr));
    }
    out["ended"] = meta->value("date_done", Json(nullptr));
  }
  if (!known.sent && !known.last_error.empty()) out["delayed_because"] = known.last_error;
  out["links"] = task_links(id);
  return out;
}

}  // namespace celeriac::http
