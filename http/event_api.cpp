// .../events: what becomes of a task or a document, as server-sent events.
#include "http/event_stream.hpp"
#include "http/front.hpp"
#include "http/jobs.hpp"
#include "http/rows.hpp"
#include "http/task_state.hpp"
#include "protocol/result.hpp"

namespace celeriac::http {

// The outbox is asked until the task has been sent; then the stored result alone can change.
Rooms::Source Front::task_source(const std::string& id) {
  const auto sent = std::make_shared<Known>();
  return [this, id, sent](const auto& tell) {
    const auto with_known = [this, id, tell, sent](const std::optional<Json>& meta) {
      const auto answer = [id, tell, meta](const Known& known) {
        const auto state = state_document(id, known, meta ? &*meta : nullptr);
        tell(state, state.at("final").get<bool>());
      };
      if (sent->sent) return answer(*sent);
      const bool taken =
          database_->run<Known>([id](Database& database) { return known_task(database, id); },
                                [sent, answer, tell](const Known& known, const DatabaseError* error) {
                                  if (error) return tell(std::nullopt, false);
                                  *sent = known;
                                  answer(known);
                                });
      if (!taken) tell(std::nullopt, false);
    };
    if (!results_) return with_known(std::nullopt);
    results_->fetch(id, [with_known, tell](const Expected<std::optional<Json>>& meta) {
      meta ? with_known(*meta) : tell(std::nullopt, false);
    });
  };
}

Rooms::Source Front::job_source(const std::string& job_id) {
  return [this, job_id](const auto& tell) { job_states_->ask(job_id, tell); };
}

// Counted down however the listening ends, begun or not. Null: the caller, or all together, listen too much.
std::shared_ptr<void> Front::admit_listener(const std::string& user_id) {
  auto& own = (*listeners_)[user_id];
  if (own >= most_listeners_each || all_listeners() >= most_listeners) return nullptr;
  ++own;
  return {&own, [listeners = listeners_, user_id](void*) {
            if (--(*listeners)[user_id] == 0) listeners->erase(user_id);
          }};
}

std::size_t Front::all_listeners() const {
  std::size_t all = 0;
  for (const auto& [user, count] : *listeners_) all += count;
  return all;
}

void Front::follow(const Request& request, const Respond& respond, std::string room, Rooms::Source source) {
  const auto counted = admit_listener(request.caller.user_id);
  if (!counted)
    return respond(problem(503, "busy", "Too many events are followed; ask for the state instead")
                       .with("Retry-After", "5"));
  Response response;
  response.content_type = "text/event-stream";
  response.with("X-Accel-Buffering", "no");  // nginx would keep the events back
  response.stream = [this, counted, room = std::move(room), source = std::move(source),
                     seen = request.header("last-event-id")](const std::shared_ptr<Stream>& stream) {
    std::make_shared<EventStream>(io_, stream, counted)->begin(rooms_, room, source, seen);
  };
  respond(std::move(response));
}

void Front::follow_document(const Request& request, const Respond& respond) {
  const auto id = request.params.at("id");
  if (!is_uuid(id)) return respond(problem(404, "unknown-id", "This is no id"));
  find_job(request.caller, id,
           [this, request, respond](const std::optional<std::string>& job, const Response& why) {
             if (!job) return respond(why);
             follow(request, respond, "job " + *job, job_source(*job));
           });
}

// The id of the caller's job that `id` names (its own, its task's or its invoice's), or why there is none.
void Front::find_job(const Caller& caller, const std::string& id,
                     std::function<void(const std::optional<std::string>&, const Response&)> then) {
  in_database(
      [caller, id](Database& database) {
        const auto state = job_state(database, caller, id);
        return state ? json(200, state->at("job_id")) : unknown_job();
      },
      [then = std::move(then)](const Response& found) {
        if (found.status != 200) return then(std::nullopt, found);
        then(parse_json(found.body)->get<std::string>(), found);
      });
}

void Front::add_event_routes() {
  router_.add({"GET", "/api/v1/tasks/{id}/events", Access::user, "The task's states as server-sent events",
               [this](const Request& request, const Respond& respond) {
                 const auto id = request.params.at("id");
                 with_known_task(request, respond, [this, request, respond, id](const Known&) {
                   follow(request, respond, "task " + id, task_source(id));
                 });
               }});
  router_.add(
      {"GET", "/api/v1/invoices/{id}/events", Access::user, "How far a document is, as server-sent events",
       [this](const Request& request, const Respond& respond) { follow_document(request, respond); }});
  router_.add({"GET", "/api/v1/socket", Access::user,
               "A WebSocket for many tasks and documents (docs/http.md)",
               [this](const Request& request, const Respond& respond) { open_socket(request, respond); }});
}

}  // namespace celeriac::http
