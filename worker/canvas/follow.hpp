// What follows the end of a run: callbacks and the next step of a chain after a success; after a failure the
// rows of the steps that will never run, and the errbacks. And of a chord: its part, its body, its failure.
//
// Pure. The order in which the parts of an Aftermath are carried out is the order of its members; the run's
// own result is stored after `before` and ahead of `rows`, so an errback finds the failure it is told about.
#pragma once

#include "protocol/embed.hpp"
#include "protocol/result.hpp"
#include "queues/result_backend.hpp"
#include "worker/canvas/plan.hpp"

#include <string>
#include <vector>

namespace celeriac::canvas {

// One end of a task that belongs to a chord's header.
struct PartEnd {
  ChordPart part;
  Json body;  // the chord's body
};

struct Aftermath {
  std::vector<Step> before;
  Json children = Json::array();  // of what `before` sends, for the run's own row
  std::vector<TaskResult> rows;
  std::vector<PartEnd> parts;
  std::vector<Step> errbacks;

  bool empty() const { return before.empty() && rows.empty() && parts.empty() && errbacks.empty(); }
};

// How a task ended that has callbacks, a chain or a chord (`embed`, the third element of its body).
struct Ended {
  const TaskHeaders* headers = nullptr;
  std::string state;            // SUCCESS, FAILURE or REVOKED
  std::string result = "null";  // JSON text: the value, or the exception
  std::string traceback;
  bool stored = true;     // false: the task's errors are not stored, nor those of what follows it
  bool extended = false;  // result_extended
};

// `sender` is the ended task. An errback that takes three arguments (`takes_error` says so of a task
// of this worker) gets [request, exception, traceback]; any other gets the failed task's id.
using TakesError = std::function<bool(const std::string& task)>;
Expected<Aftermath> aftermath(const Embed& embed, const Ended& ended, const Sender& sender,
                              const TakesError& takes_error);

// Why the body of a chord cannot run.
struct ChordFailure {
  std::string text;   // of the ChordError
  std::string cause;  // JSON of the failed part's own exception; empty: there is none
};

// A chord whose header failed: its body never runs, so everything that would have followed fails with it. The
// members of a group as body fail with the part's own exception, any other body with a ChordError. A body
// that is itself a part of another chord leaves the errbacks they share to that one, which fails next: once
// is enough.
Aftermath chord_failure(Json body, const ChordFailure& why, const Sender& sender, bool extended,
                        const TakesError& takes_error);

// True when nothing follows a task with this body text, without reading it. False is no proof of the
// contrary.
bool nothing_follows(std::string_view body);

// Of the first failed part: "Dependency <id> raised ValueError('x')".
ChordFailure failed_part(const std::string& task_id, const Json& exception);

}  // namespace celeriac::canvas
