#include "worker/client/result_node.hpp"

#include "worker/errors.hpp"

#include <utility>

namespace celeriac {
namespace {

constexpr int deepest_group = 100;  // of groups in groups

ResultNodePtr read(const Json& tuple, const std::set<std::string>& ignored_ids, int depth) {
  if (depth > deepest_group) throw BadArguments("a result tuple with groups nested too deeply");
  // Chains may be long: from the end back to the first step, then built in order.
  std::vector<const Json*> line;
  for (const Json* at = &tuple;; at = &(*at)[0][1]) {
    if (!at->is_array() || at->size() != 2) throw BadArguments("a result tuple is [[id, parent], members]");
    line.push_back(at);
    const Json& head = (*at)[0];
    if (!head.is_array() || head.size() != 2 || head[1].is_null()) break;
  }
  ResultNodePtr last;
  for (auto at = line.rbegin(); at != line.rend(); ++at) {
    const Json& head = (**at)[0];
    const Json& id = head.is_array() && !head.empty() ? head[0] : head;
    const Json& members = (**at)[1];
    if (!id.is_string() || !(members.is_null() || members.is_array()))
      throw BadArguments("a result tuple is [[id, parent], members]");
    auto node = std::make_shared<ResultNode>();
    node->id = id.get<std::string>();
    node->group = members.is_array();
    node->ignored = ignored_ids.contains(node->id);
    node->parent = std::move(last);
    for (const Json& member : members) node->members.push_back(read(member, ignored_ids, depth + 1));
    last = std::move(node);
  }
  return last;
}

void add_tasks(const ResultNode& node, std::vector<const ResultNode*>& out) {
  if (!node.group) return out.push_back(&node);
  for (const auto& member : node.members) add_tasks(*member, out);
}

void add_before(const ResultNode& node, std::set<std::string>& out) {
  for (const ResultNode* before = node.parent.get(); before; before = before->parent.get()) {
    for (const ResultNode* task : tasks_of(*before)) out.insert(task->id);
    for (const auto& member : before->members) add_before(*member, out);
  }
  for (const auto& member : node.members) add_before(*member, out);
}

}  // namespace

ResultNodePtr read_result_tuple(const Json& tuple, const std::set<std::string>& ignored_ids) {
  return read(tuple, ignored_ids, 0);
}

Json result_tuple(const ResultNode& node) {
  std::vector<const ResultNode*> line;
  for (const ResultNode* at = &node; at; at = at->parent.get()) line.push_back(at);
  Json tuple;
  for (auto at = line.rbegin(); at != line.rend(); ++at) {
    Json head = Json::array();
    head.push_back((*at)->id);
    head.push_back(std::move(tuple));
    Json members;
    if ((*at)->group) {
      members = Json::array();
      for (const auto& member : (*at)->members) members.push_back(result_tuple(*member));
    }
    tuple = Json::array();
    tuple.push_back(std::move(head));
    tuple.push_back(std::move(members));
  }
  return tuple;
}

std::vector<const ResultNode*> tasks_of(const ResultNode& node) {
  std::vector<const ResultNode*> out;
  add_tasks(node, out);
  return out;
}

std::set<std::string> tasks_before(const ResultNode& node) {
  std::set<std::string> out;
  add_before(node, out);
  return out;
}

}  // namespace celeriac
