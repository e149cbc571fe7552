// /api/v1/tasks: send a task, ask what became of it, cancel it.
#include "http/front.hpp"
#include "http/task_state.hpp"

#include "config/nearest.hpp"
#include "protocol/result.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "worker/control/mailbox.hpp"

#include <algorithm>

namespace celeriac::http {
namespace {

constexpr std::size_t most_in_batch = 1000;
Json queued(const Submission& submission) {
  return Json{{"id", submission.id},
              {"state", "QUEUED"},
              {"queue", submission.queue},
              {"links", task_links(submission.id)}};
}

// What a caller's key is called in the database; one caller's keys are no other's. Nothing: it is malformed.
std::optional<std::string> stored_key(const Request& request) {
  const auto& header = request.header("idempotency-key");
  if (header.empty()) return std::string();
  const auto key = idempotency_key(header);
  if (!key) return std::nullopt;
  return "http:" + request.caller.user_id + ":" + *key;
}

Response bad_key() {
  return problem(400, "bad-idempotency-key", "Idempotency-Key must be 1 to 128 printable characters");
}

// Of an accepted request; `status` when it is new.
Response accepted_answer(const Accepted& accepted, unsigned status) {
  if (accepted.kind == Accepted::Kind::key_reused)
    return problem(422, "idempotency-key-reused", "This Idempotency-Key belongs to another request");
  if (accepted.kind == Accepted::Kind::not_unique && status == 409) {
    const auto id = accepted.answer.value("id", Json("")).get<std::string>();
    auto refusal = problem(409, "not-unique", "Another task of this kind was accepted before", id);
    return refusal.with("Location", "/api/v1/tasks/" + id);
  }
  auto response = json(status, accepted.answer);
  if (accepted.kind == Accepted::Kind::replayed) response.with("Idempotency-Replayed", "true");
  return response;
}

bool allowed(const Caller& caller, const std::string& task) {
  return caller.admin() || std::any_of(caller.tasks.begin(), caller.tasks.end(),
                                       [&](const auto& name) { return name == "*" || name == task; });
}

}  // namespace

void Front::add_task_routes() {
  router_.add(
      {"POST", "/api/v1/tasks/{name}", Access::user, "Send a task",
       [this](Request request, Respond respond) { send_task(std::move(request), std::move(respond)); }});
  router_.add(
      {"POST", "/api/v1/tasks:batch", Access::user, "Send up to 1000 tasks, all at once",
       [this](Request request, Respond respond) { send_batch(std::move(request), std::move(respond)); }});
  router_.add({"POST", "/api/v1/queues/{queue}/tasks", Access::user,
               "Send the task that the body names to this queue",
               [this](const Request& request, const Respond& respond) { send_to_queue(request, respond); }});
  router_.add(
      {"GET", "/api/v1/tasks", Access::user, "The tasks that may be sent",
       [this](Request request, Respond respond) {
         Json list = Json::array();
         for (const auto& task : tasks_)
           if (allowed(request.caller, task.name))
             list.push_back(Json{{"name", task.name}, {"queue", task.queue}, {"params", task.params}});
         respond(json(200, Json{{"tasks", list}}));
       }});
  router_.add(
      {"GET", "/api/v1/tasks/{id}", Access::user, "What became of a task",
       [this](Request request, Respond respond) { task_state(std::move(request), std::move(respond)); }});
  router_.add(
      {"GET", "/api/v1/tasks/{id}/result", Access::user, "The result alone",
       [this](Request request, Respond respond) {
         task_state(std::move(request), [respond = std::move(respond)](Response response) {
           if (response.status != 200) return respond(std::move(response));
           auto state = *parse_json(response.body);
           if (!state["final"].get<bool>())
             return respond(
                 json(202, Json{{"id", state["id"]}, {"state", state["state"]}}).with("Retry-After", "1"));
           Json out = Json{{"id", state["id"]}, {"state", state["state"]}};
           for (const char* name : {"result", "error"})
             if (state.contains(name)) out[name] = state[name];
           respond(json(200, out));
         });
       }});
  router_.add(
      {"DELETE", "/api/v1/tasks/{id}", Access::user, "Revoke a task",
       [this](Request request, Respond respond) { cancel_task(std::move(request), std::move(respond)); }});
}

const TaskEntry* Front::find_task(const Caller& caller, const std::string& name) const {
  const auto task =
      std::find_if(tasks_.begin(), tasks_.end(), [&](const auto& entry) { return entry.name == name; });
  return task == tasks_.end() || !allowed(caller, name) ? nullptr : &*task;
}

Response Front::unknown_task(const std::string& name) const {
  std::vector<std::string_view> names;
  for (const auto& entry : tasks_) names.push_back(entry.name);
  const auto near = nearest_word(name, names);
  return problem(404, "unknown-task", "There is no such task",
                 near.empty() ? name : name + "; did you mean " + std::string(near) + "?");
}

void Front::send_task(Request request, Respond respond) {
  const auto& name = request.params["name"];
  const auto* task = find_task(request.caller, name);
  if (!task) return respond(unknown_task(name));
  const auto body = json_body(request);
  if (!body) return respond(body.error());
  send_one(request, *body, *task, std::move(respond));
}

void Front::send_to_queue(const Request& request, const Respond& respond) {
  const auto& queue = request.params.at("queue");
  const auto names = queue_names();
  if (std::find(names.begin(), names.end(), queue) == names.end()) {
    const auto near = nearest_word(queue, std::vector<std::string_view>(names.begin(), names.end()));
    return respond(problem(404, "unknown-queue", "There is no such queue",
                           near.empty() ? queue : queue + "; did you mean " + std::string(near) + "?"));
  }
  auto body = json_body(request);
  if (!body) return respond(body.error());
  const auto named = body->is_object() ? body->find("task") : body->end();
  Faults faults;
  if (!body->is_object())
    faults.add("", "must be an object");
  else if (named == body->end() || !named->is_string())
    faults.add("/task", "must be the name of a task");
  else if (body->contains("queue"))
    faults.add("/queue", "stands in the path");
  if (!faults.list.empty()) return respond(bad_body(faults));
  const auto* task = find_task(request.caller, named->get<std::string>());
  if (!task) return respond(unknown_task(named->get<std::string>()));
  (*body)["queue"] = queue;
  send_one(request, *body, *task, respond);
}

void Front::send_one(const Request& request, const Json& body, const TaskEntry& task, Respond respond) {
  Faults faults;
  auto submission = read_submission(body, task, settings_.http_callback_hosts, faults);
  if (!faults.list.empty()) return respond(bad_body(faults));
  const auto key = stored_key(request);
  if (!key) return respond(bad_key());
  submission.user_id = request.caller.user_id;
  submission.traceparent = request.header("traceparent").substr(0, 128);
  const double wait = wanted_wait(request.header("prefer"));
  const auto fresh = std::make_shared<bool>(false);
  in_database(
      [submission, fresh, sender = outbox_->sender(), key = *key,
       digest = sha256_hex(request.path + "\n" + request.body)](Database& database) {
        const auto accepted = accept(database, {submission}, key, digest, queued(submission), sender);
        *fresh = accepted.kind == Accepted::Kind::fresh && !sender.empty();
        const bool refuse = accepted.kind == Accepted::Kind::not_unique && !submission.return_first;
        auto response = accepted_answer(accepted, refuse ? 409 : 202);
        if (response.status == 202)
          response.with("Location", "/api/v1/tasks/" + accepted.answer.at("id").get<std::string>())
              .with("Retry-After", "1");
        return response;
      },
      [this, wait, submission, fresh, respond = std::move(respond)](Response response) {
        if (response.status != 202) return respond(std::move(response));
        *fresh ? outbox_->send({submission}) : outbox_->wake();
        if (wait <= 0 || !results_ || stopping_) return respond(std::move(response));
        const auto id = (*parse_json(response.body))["id"].get<std::string>();
        await_task(id, wait, respond, std::move(response));
      });
}

// Each item is a task of its own; those that do not fit are told so and hinder no other. One transaction.
void Front::send_batch(Request request, Respond respond) {
  auto body = json_body(request);
  if (!body) return respond(std::move(body.error()));
  const auto items = body->find("tasks");
  if (items == body->end() || !items->is_array() || items->empty() || items->size() > most_in_batch)
    return respond(problem(422, "body-does-not-fit",
                           "The body is {\"tasks\": [...]} with 1 to 1000 objects: task, args, kwargs, ..."));
  const auto key = stored_key(request);
  if (!key) return respond(bad_key());
  std::vector<Submission> submissions;
  Json list = Json::array();
  const auto refuse = [&](const Response& response) {
    list.push_back(Json{{"status", response.status}, {"problem", *parse_json(response.body)}});
  };
  for (const auto& item : *items) {
    const auto named = item.is_object() ? item.find("task") : item.end();
    if (!item.is_object() || named == item.end() || !named->is_string()) {
      Faults faults;
      faults.add("/task", "must be the name of a task");
      refuse(bad_body(faults));
      continue;
    }
    const auto name = named->get<std::string>();
    const auto* task = find_task(request.caller, name);
    if (!task) {
      refuse(unknown_task(name));
      continue;
    }
    Faults faults;
    auto submission = read_submission(item, *task, settings_.http_callback_hosts, faults);
    if (submission.unique_for > 0) faults.add("/unique_for", "is for tasks that are sent one by one");
    if (!faults.list.empty()) {
      refuse(bad_body(faults));
      continue;
    }
    submission.user_id = request.caller.user_id;
    submission.traceparent = request.header("traceparent").substr(0, 128);
    list.push_back(Json{{"status", 202}, {"task", queued(submission)}});
    submissions.push_back(std::move(submission));
  }
  const bool all = submissions.size() == items->size();
  const Json answer = Json{{"accepted", submissions.size()}, {"tasks", std::move(list)}};
  if (submissions.empty()) return respond(json(422, answer));
  const auto fresh = std::make_shared<bool>(false);
  const auto all_of_it = std::make_shared<const std::vector<Submission>>(std::move(submissions));
  in_database(
      [all_of_it, fresh, sender = outbox_->sender(), key = *key, answer, all,
       digest = sha256_hex("batch\n" + request.body)](Database& database) {
        const auto accepted = accept(database, *all_of_it, key, digest, answer, sender);
        *fresh = accepted.kind == Accepted::Kind::fresh && !sender.empty();
        return accepted_answer(accepted, all ? 202 : 207);
      },
      [this, all_of_it, fresh, respond = std::move(respond)](Response response) {
        if (response.status < 300) *fresh ? outbox_->send(*all_of_it) : outbox_->wake();
        respond(std::move(response));
      });
}

// The finished state when it comes in time, else what was to be answered anyway.
void Front::await_task(const std::string& id, double seconds, Respond respond, Response meanwhile) {
  // Answered once, by the result, the time or stop(), whichever is first.
  const auto late = std::make_shared<std::function<void()>>(
      [respond, meanwhile = std::move(meanwhile)] { respond(meanwhile); });
  waiting_.insert(late);
  results_->wait(
      id, std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)),
      [this, id, late, respond = std::move(respond)](Expected<Json> meta) mutable {
        if (waiting_.erase(late) == 0) return;
        if (!meta) return (*late)();
        in_database(
            [id, meta = std::move(*meta)](Database& database) {
              auto response = json(200, state_document(id, known_task(database, id), &meta));
              return response.with("Location", "/api/v1/tasks/" + id).with("Preference-Applied", "wait");
            },
            std::move(respond));
      });
}

// Of the caller's own tasks, or anybody's for an administrator; others do not exist for the caller.
void Front::with_known_task(const Request& request, const Respond& respond, std::function<void(Known)> then) {
  const auto id = request.params.at("id");
  const bool taken = database_->run<Known>(
      [id](Database& database) { return known_task(database, id); },
      [caller = request.caller, respond, then = std::move(then)](Known known, const DatabaseError* error) {
        if (error)
          return respond(
              problem(503, "database-away", "The database cannot be reached").with("Retry-After", "5"));
        if (!known.found || (!caller.admin() && known.user_id != caller.user_id))
          return respond(problem(404, "unknown-id", "No task with this id was sent here"));
        then(std::move(known));
      });
  if (!taken) respond(problem(503, "busy", "Too many requests are under way").with("Retry-After", "1"));
}

void Front::task_state(Request request, Respond respond) {
  const auto id = request.params["id"];
  with_known_task(request, respond, [this, id, respond](const Known& known) {
    const auto answer = [id, known, respond](const Json* meta) {
      const auto document = state_document(id, known, meta);
      auto response = json(200, document);
      if (!document["final"].get<bool>()) response.with("Retry-After", "1");
      respond(std::move(response));
    };
    if (!results_) return answer(nullptr);
    results_->fetch(id, [this, id, known, answer, respond](const Expected<std::optional<Json>>& meta) {
      if (!meta)
        return respond(problem(503, "results-away", "The result store cannot be reached", meta.error().what)
                           .with("Retry-After", "5"));
      if (*meta || !is_forgotten(known.due_for)) return answer(*meta ? &**meta : nullptr);
      tell_forgotten(id, respond, [answer] { answer(nullptr); });
    });
  });
}

// A result as old as its task would have been dropped by now.
bool Front::is_forgotten(double due_for) const {
  return settings_.result_expires > 0 && due_for > settings_.result_expires;
}

// What the ledger knows to have ended is gone; what it does not know may still wait. Without a ledger nobody
// knows.
void Front::tell_forgotten(const std::string& id, const Respond& respond,
                           const std::function<void()>& waits) {
  const auto gone = [respond, days = settings_.result_expires](const std::string& how) {
    respond(problem(
        410, "result-gone", "What became of this task is not kept any more",
        how + "Results are kept for " + std::to_string(static_cast<std::int64_t>(days)) + " seconds."));
  };
  if (!ledger_) return gone("");
  LedgerQuery query;
  query.task_id = id;
  query.limit = 1;
  with_runs(query, [gone, waits](const Expected<std::vector<LedgerRow>>& rows) {
    if (!rows || rows->empty() || !is_ready(rows->front().state)) return waits();
    gone("It ended as " + rows->front().state + ". ");
  });
}

// As `celery control revoke` does it: every worker that is there remembers.
void Front::cancel_task(Request request, Respond respond) {
  const auto id = request.params["id"];
  const bool terminate = request.query_values()["terminate"] == "true";
  with_known_task(request, respond, [this, id, terminate, respond](const Known& known) {
    const auto ask = [this, id, terminate, respond] {
      if (!revoke(id, terminate))
        return respond(problem(503, "broker-away", "The broker cannot be reached").with("Retry-After", "5"));
      respond(json(202, Json{{"id", id}, {"state", "REVOKING"}, {"links", task_links(id)}}));
    };
    (void)known;
    if (!results_) return ask();
    results_->fetch(id, [ask, respond](const Expected<std::optional<Json>>& meta) {
      const bool final = meta && *meta && (**meta)["status"].is_string() &&
                         is_ready((**meta)["status"].get_ref<const std::string&>());
      if (final) return respond(problem(409, "already-final", "The task has ended already"));
      ask();
    });
  });
}

bool Front::revoke(const std::string& id, bool terminate) {
  ControlRequest request;
  request.method = "revoke";
  request.arguments = Json{{"task_id", Json::array({id})}, {"terminate", terminate}, {"signal", nullptr}};
  request.clock = 1;
  return broker_->broadcast(write_control_request(request, 0));
}

}  // namespace celeriac::http
