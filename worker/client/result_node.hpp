// The tree behind an AsyncResult: what it stands for, what came before it, what it consists of.
#pragma once

#include "protocol/json.hpp"

#include <memory>
#include <set>
#include <string>
#include <vector>

namespace celeriac {

struct ResultNode {
  std::string id;
  bool group = false;
  bool ignored = false;  // sent with ignore_result: nobody stores it
  std::shared_ptr<const ResultNode> parent;
  std::vector<std::shared_ptr<const ResultNode>> members;
};
using ResultNodePtr = std::shared_ptr<const ResultNode>;

// From a result tuple. Throws BadArguments when it is none.
ResultNodePtr read_result_tuple(const Json& tuple, const std::set<std::string>& ignored_ids = {});
Json result_tuple(const ResultNode& node);

// The tasks that the result consists of, in order; and those before them, without which there is none.
std::vector<const ResultNode*> tasks_of(const ResultNode& node);
std::set<std::string> tasks_before(const ResultNode& node);

}  // namespace celeriac
