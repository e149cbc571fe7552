// What a node makes of the events of the others: who is there, who has fallen silent, and who wins an
// election.
//
// An election (control command `election`) gives one action to one node. Each node proposes itself with the
// value of its logical clock; each proposal is acknowledged by everybody; when as many acknowledgements as
// nodes are there, the proposal with the lowest clock wins, names deciding between equals. The rule and the
// events are Celery's, so Python workers and this one elect together. Pure: callers pass events and the time.
#pragma once

#include "protocol/json.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace celeriac {

class Gossip {
 public:
  struct Outlet {
    // An event of this node: "worker-elect" or "worker-elect-ack"; `members`: JSON texts by name, in order.
    std::function<void(const char* type, const std::vector<std::pair<std::string, std::string>>& members)>
        send;
    // We won: do it.
    std::function<void(const std::string& topic, const Json& action)> win;
    std::function<void(const std::string&line)> info, debug;
  };

  // `node` and `pid` are this worker's.
  Gossip(std::string node, int pid, Outlet outlet)
      : node_(std::move(node)), self_(node_ + "." + std::to_string(pid)), outlet_(std::move(outlet)) {}

  void on_event(const Json& event, double now);
  // The control command: begins our part in an election.
  void elect(const std::string& id, const std::string& topic, const Json& action);
  // Call every few seconds: forgets nodes that are silent for two of their intervals.
  void look_for_silent(double now);

  std::size_t nodes() const { return nodes_.size(); }  // this one included, once it was heard

 private:
  struct Node {
    double seen = 0, every = 2;  // Unix seconds; seconds between heartbeats
  };
  using Proposal =
      std::tuple<std::uint64_t, std::string, std::string, std::string>;  // clock, who, topic, action
  struct Election {
    std::set<Proposal> proposals;
    std::size_t acknowledged = 0;
    bool ours = false;  // we were asked, too
  };

  void on_elect(const Json& event);
  void on_acknowledged(const std::string& id);
  Election& election(const std::string& id);

  const std::string node_, self_;
  Outlet outlet_;
  std::map<std::string, Node> nodes_;
  std::map<std::string, Election> elections_;
  std::deque<std::string> order_;  // of elections_: the oldest are forgotten when there are too many
};

}  // namespace celeriac
