// CanvasRunner carries out what plan.hpp and follow.hpp decide: sends steps in order, counts the parts of
// chords at the result store, and starts or fails the body when the last part has ended.
//
// Lives on the worker's loop. Whatever it references outlives it; handlers may run before a call returns.
#pragma once

#include "config/settings.hpp"
#include "queues/broker.hpp"
#include "worker/app.hpp"
#include "worker/canvas/follow.hpp"
#include "worker/result_stores.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace celeriac::canvas {

class CanvasRunner {
 public:
  CanvasRunner(Broker& broker, ResultStores& stores, const Settings& settings, const App& app)
      : broker_(broker), stores_(stores), settings_(settings), app_(app) {}

  // Who sends what follows this task.
  Sender sender(const TaskHeaders& headers, std::optional<int> priority) const;
  TakesError takes_error() const;

  // In order: what the store must know is stored before the next message leaves.
  void send(std::vector<Step> steps, Done done);

  // The rest of an aftermath: rows, then parts, then errbacks. Goes on after an error and tells the first.
  void follow(Aftermath rest, const Sender& sender, Done done);

  // A running task's own canvas. `children` are result tuples for its row.
  void apply(const CanvasRequest& request, const Sender& sender,
             std::function<void(const std::string& error, Json children)> done);

  // One look of celery.chord_unlock: "" when the body was sent or has failed, chord_not_ready, or an error.
  void unlock(const UnlockRequest& request, const Sender& sender, std::function<void(std::string)> done);

 private:
  struct Sending;
  struct Following;
  struct Gathering;
  struct Values {  // of a chord's parts
    Json list = Json::array();
    ChordFailure failure;  // without a text: there is none
    bool ready = true;
  };
  using Fetch =
      std::function<void(const std::string& id, std::function<void(Expected<std::optional<Json>>)>)>;

  void advance(const std::shared_ptr<Sending>& sending);
  void issue(Step& step, Done done);
  void next_part(const std::shared_ptr<Following>& following);
  void join(PartEnd end, const Sender& sender, Done done);
  void gather(Json tuples, const Fetch& fetch, std::function<void(Values)> done);
  void finish_chord(const std::string& group_id, Json body, Values values, const Sender& sender, Done done);
  void fail_chord(const std::string& group_id, Json body, const ChordFailure& why, const Sender& sender,
                  Done done);
  void forget_chord(const std::string& group_id, Done done);

  Broker& broker_;
  ResultStores& stores_;
  const Settings& settings_;
  const App& app_;
};

}  // namespace celeriac::canvas
