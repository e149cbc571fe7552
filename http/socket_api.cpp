// /api/v1/socket: one connection that listens in many rooms. Messages are JSON objects:
//
//   {"type": "join_task", "task_id": ID, "after": EVENT}   ID: of a task, or of a job or its invoice
//   {"type": "leave_task", "task_id": ID}
//   {"type": "ping"}
//
// and back: connected, joined_task, task_update {room, id, kind, final, data}, left_task, pong, error.
#include "http/front.hpp"
#include "http/rows.hpp"
#include "http/submissions.hpp"

#include <map>

namespace celeriac::http {
namespace {

constexpr std::size_t most_rooms = 100;  // of one connection

std::string said(const Json& message, const char* name) {
  const auto found = message.find(name);
  return found != message.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

// What one connection listens to. Lives as long as the socket, by which it is held.
class Front::Member : public std::enable_shared_from_this<Front::Member> {
 public:
  Member(Front& front, Caller caller, std::shared_ptr<void> counted, const std::shared_ptr<Socket>& socket)
      : front_(front), caller_(std::move(caller)), counted_(std::move(counted)), socket_(socket) {}

  void on_text(const std::string& text) {
    const auto message = parse_json(text, {4096, 4});
    if (!message || !message->is_object()) return refuse("", "not-json", "A message is a JSON object");
    const auto type = said(*message, "type"), id = said(*message, "task_id");
    if (type == "ping") return say(Json{{"type", "pong"}});
    if (type != "join_task" && type != "leave_task")
      return refuse(id, "unknown-type", "type is join_task, leave_task or ping");
    if (!is_uuid(id)) return refuse(id, "unknown-id", "task_id is no id");
    if (type == "leave_task") {
      joined_.erase(id);
      return say(Json{{"type", "left_task"}, {"task_id", id}});
    }
    if (joined_.size() >= most_rooms && !joined_.contains(id))
      return refuse(id, "busy", "At most 100 rooms for each connection");
    join(id, said(*message, "after"));
  }

 private:
  void join(const std::string& id, const std::string& after) {
    front_.find_job(
        caller_, id,
        [self = weak_from_this(), id, after](const std::optional<std::string>& job, const Response& why) {
          const auto here = self.lock();
          if (!here) return;
          if (job) return here->listen(id, "job " + *job, here->front_.job_source(*job), after);
          if (why.status != 404) return here->refuse(id, "database-away", "The database cannot be reached");
          here->join_task(id, after);
        });
  }

  void join_task(const std::string& id, const std::string& after) {
    Request request;
    request.caller = caller_;
    request.params["id"] = id;
    const auto refuse_it = [self = weak_from_this(), id](const Response& response) {
      if (const auto here = self.lock())
        here->refuse(
            id, response.status == 404 ? "unknown-id" : "database-away",
            response.status == 404 ? "No task with this id was sent here" : "The database cannot be reached");
    };
    front_.with_known_task(request, refuse_it, [self = weak_from_this(), id, after](const Known&) {
      if (const auto here = self.lock()) here->listen(id, "task " + id, here->front_.task_source(id), after);
    });
  }

  void listen(const std::string& id, const std::string& room, Rooms::Source source,
              const std::string& after) {
    say(Json{{"type", "joined_task"}, {"task_id", id}, {"room", "task_" + id}});
    joined_[id] = front_.rooms_.join(
        room, std::move(source), after,
        [self = weak_from_this(), id, after](const std::shared_ptr<const RoomEvent>& event) {
          const auto here = self.lock();
          if (!here) return;
          if (event->id != after)
            here->send("{\"type\": \"task_update\", \"task_id\": \"" + id + "\", \"room\": \"task_" + id +
                       "\", \"id\": \"" + event->id + "\", \"kind\": \"" + event->kind + "\", \"final\": " +
                       (event->final ? "true" : "false") + ", \"data\": " + event->data + "}");
        });
  }

  void say(const Json& message) { send(dump_json(message)); }
  void send(std::string text) {
    if (const auto socket = socket_.lock()) socket->send(std::move(text));
  }
  void refuse(const std::string& id, const char* problem, const char* title) {
    Json message = Json{
        {"type", "error"}, {"problem", std::string("urn:celeriac:problem:") + problem}, {"title", title}};
    if (!id.empty()) message["task_id"] = id;
    say(message);
  }

  Front& front_;
  const Caller caller_;
  const std::shared_ptr<void> counted_;
  const std::weak_ptr<Socket> socket_;
  std::map<std::string, std::shared_ptr<Listening>> joined_;
};

void Front::open_socket(const Request& request, const Respond& respond) {
  const auto counted = admit_listener(request.caller.user_id);
  if (!counted)
    return respond(problem(503, "busy", "Too many events are followed; ask for the state instead")
                       .with("Retry-After", "5"));
  Response response;
  if (!request.header("sec-websocket-protocol").empty()) response.with("Sec-WebSocket-Protocol", "celeriac");
  response.socket = [this, counted, caller = request.caller](const std::shared_ptr<Socket>& socket) {
    const auto member = std::make_shared<Member>(*this, caller, counted, socket);
    socket->start([member](const std::string& text) { member->on_text(text); }, [] {});
    socket->send(dump_json(Json{{"type", "connected"}, {"user_id", caller.user_id}}));
  };
  respond(std::move(response));
}

}  // namespace celeriac::http
