// .../events: what becomes of a task or a document, as server-sent events.
#include "http/event_stream.hpp"
#include "http/front.hpp"
#include "http/jobs.hpp"
#include "http/rows.hpp"
#include "http/task_state.hpp"
#include "protocol/result.hpp"

namespace celeriac::http {
namespace {

constexpr std::size_t most_streams = 200;

}  // namespace

void Front::add_event_routes() {
  router_.add({"GET", "/api/v1/tasks/{id}/events", Access::user, "The task's states as server-sent events",
               [this](Request request, Respond respond) {
                 const auto id = request.params["id"];
                 with_known_task(request, respond, [this, request, respond, id](const Known&) {
                   follow(request, respond, [this, id](auto tell) {
                     const auto with_known = [this, id, tell](std::optional<Json> meta) {
                       const bool taken = database_->run<Known>(
                           [id](Database& database) { return known_task(database, id); },
                           [id, tell, meta](const Known& known, const DatabaseError* error) {
                             if (error) return tell(std::nullopt, false);
                             const auto state = state_document(id, known, meta ? &*meta : nullptr);
                             tell(state, state.at("final").get<bool>());
                           });
                       if (!taken) tell(std::nullopt, false);
                     };
                     if (!results_) return with_known(std::nullopt);
                     results_->fetch(id, [with_known, tell](const Expected<std::optional<Json>>& meta) {
                       meta ? with_known(*meta) : tell(std::nullopt, false);
                     });
                   });
                 });
               }});
  router_.add({"GET", "/api/v1/invoices/{id}/events", Access::user,
               "How far a document is, as server-sent events",
               [this](Request request, Respond respond) { follow_document(request, std::move(respond)); }});
}

void Front::follow_document(const Request& request, Respond respond) {
  const auto id = request.params.at("id");
  if (!is_uuid(id)) return respond(problem(404, "unknown-id", "This is no id"));
  const auto caller = request.caller;
  in_database(
      [caller, id](Database& database) {
        return job_state(database, caller, id) ? json(200, nullptr) : unknown_job();
      },
      [this, request, caller, id, respond](Response found) {
        if (found.status != 200) return respond(std::move(found));
        follow(request, respond, [this, caller, id](auto tell) {
          const bool taken = database_->run<std::optional<Json>>(
              [caller, id](Database& database) { return job_state(database, caller, id); },
              [tell](const std::optional<Json>& job, const DatabaseError* error) {
                if (error || !job) return tell(std::nullopt, false);
                tell(job, job->at("status") == "completed" || job->at("status") == "failed");
              });
          if (!taken) tell(std::nullopt, false);
        });
      });
}

void Front::follow(const Request& request, Respond respond, StateSource source) {
  if (*streams_ >= most_streams)
    return respond(problem(503, "busy", "Too many events are followed; ask for the state instead")
                       .with("Retry-After", "5"));
  Response response;
  response.content_type = "text/event-stream";
  response.with("X-Accel-Buffering", "no");  // nginx would keep the events back
  ++*streams_;
  // Counted down however the stream ends, begun or not.
  const std::shared_ptr<void> counted(nullptr, [streams = streams_](void*) { --*streams; });
  response.stream = [this, counted, source = std::move(source),
                     seen = request.header("last-event-id")](std::shared_ptr<Stream> stream) {
    std::make_shared<EventStream>(io_, std::move(stream), source, seen, [counted] {})->begin();
  };
  respond(std::move(response));
}

}  // namespace celeriac::http
