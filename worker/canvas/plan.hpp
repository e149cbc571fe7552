// A plan is everything that applying a signature sends, in order: messages, and what the result store must
// know about chords before their last message leaves.
//
// Pure: ids, time and identity come in with Sender. A chain sends its first step, which carries the others; a
// group sends all its members; a chord sends its header, whose members carry the body.
#pragma once

#include "protocol/json.hpp"
#include "worker/job.hpp"

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace celeriac::canvas {

// Who sends.
struct Sender {
  std::string parent_id;        // the running task; empty for a client
  std::string root_id;          // empty: each message is its own root
  std::optional<int> priority;  // inherited by what names none
  std::string reply_to;         // any UUID; only rpc:// reads it
  double now = 0;               // Unix seconds
  std::function<std::string()> new_id;
  std::function<std::string(const std::string& task)> route;  // the queue of what names none
  bool native_chords = true;        // the store counts chord parts; otherwise celery.chord_unlock polls
  double chord_retry_interval = 1;  // seconds, for celery.chord_unlock
};

struct ChordSize {
  std::string group_id;
  std::int64_t size = 0;
};
struct SaveGroup {  // GroupResult.save(): needed when a chord's results are nested
  std::string group_id;
  Json result;  // result tuple
};
using Step = std::variant<Outgoing, ChordSize, SaveGroup>;

class Plan {
 public:
  explicit Plan(Sender sender) : sender_(std::move(sender)) {}

  // Adds what applying the (checked) signature sends. `options` are apply_async's. Returns the result
  // tuple of what the caller may wait for.
  Json apply(Json signature, const Json& args = Json::array(), const Json& kwargs = Json::object(),
             Json options = Json::object());

  // The same for the next step of a chain, a plain task: `later` is the JSON list of the steps behind it.
  Json apply_step(Json task, const Json& args, std::string later);

  // Gives the signature ids and place without sending it; the same result tuple.
  Json freeze(Json& signature, const Json& place);

  std::vector<Step>& steps() { return steps_; }
  // Result tuples of what was sent directly, for the sender's `children`.
  const Json& children() const { return children_; }

 private:
  Json apply_task(Json signature, bool to_children, std::string chain = {});
  Json apply_chain(Json chain, const Json& args, const Json& kwargs, Json options, bool to_children);
  Json apply_group(Json group, const Json& args, const Json& kwargs, Json options, bool to_children);
  Json apply_chord(Json chord, const Json& args, const Json& kwargs, Json options, bool to_children);
  Json apply_any(Json signature, const Json& args, const Json& kwargs, Json options, bool to_children);

  struct Prepared {
    Json tasks;   // in reverse: the first step is last
    Json result;  // of the last step, with its parents
  };
  Prepared prepare_chain(Json steps, const Json& args, const Json& kwargs, const Json& place,
                         const Json& errbacks);
  Json freeze_task(Json& signature, const Json& place);
  Json freeze_group(Json& group, const Json& place);
  Json flatten(Json members) const;
  void unlock_chord(const std::string& group_id, const Json& results, const Json& body);

  Sender sender_;
  std::vector<Step> steps_;
  Json children_ = Json::array();
};

// One message from a signature whose options are final. `chain`: JSON text that counts instead of its own.
Outgoing task_message(Json signature, const Sender& sender, std::string chain = {});

}  // namespace celeriac::canvas
