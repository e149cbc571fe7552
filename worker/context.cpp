#include "worker/context.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "worker/app.hpp"
#include "worker/canvas/plan.hpp"
#include "worker/canvas/replace.hpp"
#include "worker/outgoing.hpp"
#include "worker/retry.hpp"

#include <utility>

namespace celeriac {
namespace {

// What is to follow must be known whole before something else takes its place.
Json readable(Expected<Json> embedded) {
  if (!embedded)
    throw TaskError("InvalidTaskError", "what follows the task cannot be read: " + embedded.error().what,
                    "celery.exceptions");
  return std::move(*embedded);
}

}  // namespace

Context::Context(const Job& job, const TaskOptions& options, TaskPort& port,
                 const std::atomic<bool>& soft_limit_hit, const Body* body, const App* app)
    : job_(job), options_(options), port_(port), soft_limit_hit_(soft_limit_hit), body_(body), app_(app) {}

const std::string& Context::task_id() const { return job_.headers->id; }
const std::string& Context::task() const { return job_.headers->task; }
const std::string& Context::root_id() const {
  return job_.headers->root_id.empty() ? job_.headers->id : job_.headers->root_id;
}
const std::string& Context::parent_id() const { return job_.headers->parent_id; }
const std::string& Context::group() const { return job_.headers->group; }
const std::string& Context::hostname() const { return job_.hostname; }
std::int64_t Context::retries() const { return job_.headers->retries; }
const TaskHeaders& Context::headers() const { return *job_.headers; }
const Message& Context::message() const { return *job_.message; }
bool Context::redelivered() const { return job_.redelivered; }

Json Context::header(std::string_view name) const {
  if (!header_map_) header_map_ = parse_json(job_.message->headers).value_or(Json::object());
  if (!header_map_->is_object()) return nullptr;
  const auto found = header_map_->find(std::string(name));
  return found == header_map_->end() ? Json(nullptr) : *found;
}

std::optional<int> Context::priority() const { return job_.message->properties.priority; }

const std::string& Context::routing_key() const {
  const std::string& key = job_.message->properties.routing_key;
  return key.empty() ? job_.queue : key;
}

void Context::retry(RetryOptions options) {
  std::optional<int> max_retries = options_.max_retries;
  if (options.max_retries) max_retries = *options.max_retries < 0 ? std::nullopt : options.max_retries;
  if (retries_used_up(retries(), max_retries)) {
    if (options.exc) throw *options.exc;
    static const Body none;
    const Body& body = body_ ? *body_ : none;
    throw TaskError(max_retries_exceeded(*job_.headers, options.args.value_or(body.args),
                                         options.kwargs.value_or(body.kwargs)));
  }
  Retry retry;
  const RetryTime time = retry_time(options.eta, options.countdown, options_.default_retry_delay, unix_now());
  retry.eta = time.eta;
  retry.when = time.when;
  if (options.exc) retry.cause = options.exc->info();
  retry.args = std::move(options.args);
  retry.kwargs = std::move(options.kwargs);
  throw retry;
}

std::string Context::send(std::string_view task, Json args, Json kwargs, SendOptions options) {
  SendRequest request =
      build_send(*job_.headers, task, std::move(args), std::move(kwargs), std::move(options), unix_now());
  std::string id = request.task_id;
  const std::string error = port_.request(std::move(request));
  if (!error.empty()) throw TaskError("OperationalError", Json::array({error}), "kombu.exceptions");
  children_.push_back(result_tuple(id));
  return id;
}

Json Context::send_canvas(Json signature, std::string grow_chord) {
  canvas::Sender sender;
  sender.new_id = uuid4;
  Json result = canvas::Plan(sender).freeze(signature, Json::object());
  const std::string error = port_.request(CanvasRequest{dump_json(signature), std::move(grow_chord)});
  if (!error.empty()) throw TaskError("OperationalError", Json::array({error}), "kombu.exceptions");
  return result;
}

Json Context::apply(const Signature& signature) { return send_canvas(signature.json(), {}); }

void Context::replace(const Signature& signature) {
  const Json embed = body_ ? readable(body_->embed.json()) : Json::object();
  const Json next = canvas::replacement(signature.json(), *job_.headers, embed, uuid4);
  const std::string error = port_.request(CanvasRequest{dump_json(next), {}});
  if (!error.empty()) throw TaskError("OperationalError", Json::array({error}), "kombu.exceptions");
  throw Ignore();
}

Json Context::add_to_chord(const Signature& signature) {
  const Json chord = body_ ? readable(parse_json(body_->embed.chord())) : Json();
  if (!chord.is_object() || group().empty())
    throw TaskError("ValueError", Json::array({"Current task is not member of any chord"}));
  Json next = signature.json();
  Json& options = next["options"];
  options["group_id"] = group();
  if (headers().group_index) options["group_index"] = *headers().group_index;
  options["chord"] = chord;
  return send_canvas(std::move(next), group());
}

Json Context::call(std::string_view task, const Json& args, const Json& kwargs) {
  const App::Task* known = app_ ? app_->find(task) : nullptr;
  if (!known) throw TaskError("NotRegistered", Json::array({std::string(task)}), "celery.exceptions");
  return known->body(*this, args, kwargs);
}

void Context::update_state(std::string_view state, const Json& meta) {
  port_.request(StateRequest{std::string(state), dump_json(meta)});
}

void Context::progress(std::uint64_t done, std::uint64_t total, std::string_view stage) {
  Json meta = {{"current", done}, {"total", total}};
  if (!stage.empty()) meta["stage"] = stage;
  update_state("PROGRESS", meta);
}

void Context::log(int level, std::string_view text) { port_.request(LogRequest{level, std::string(text)}); }

void Context::checkpoint() const {
  if (soft_limit_exceeded()) throw SoftTimeLimitExceeded();
}

bool Context::soft_limit_exceeded() const { return soft_limit_hit_.load(std::memory_order_relaxed); }

}  // namespace celeriac
