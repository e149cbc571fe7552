#include "http/job_states.hpp"

#include "http/jobs.hpp"

namespace celeriac::http {

void JobStates::ask(const std::string& job_id, Answer answer) {
  asked_.emplace(job_id, std::move(answer));
  if (asked_.size() > 1) return;
  timer_.expires_after(std::chrono::milliseconds(50));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) read();
  });
}

void JobStates::read() {
  const auto asked = std::make_shared<std::multimap<std::string, Answer>>(std::exchange(asked_, {}));
  std::vector<std::string> ids;
  for (const auto& [id, answer] : *asked)
    if (ids.empty() || ids.back() != id) ids.push_back(id);
  using States = std::map<std::string, Json>;
  const auto tell = [asked](const States& states) {
    for (const auto& [id, answer] : *asked) {
      const auto found = states.find(id);
      if (found == states.end())
        answer(std::nullopt, false);
      else
        answer(found->second, is_over(found->second));
    }
  };
  const bool taken = database_.run<States>([ids](Database& database) { return job_states(database, ids); },
                                           [tell](States states, const DatabaseError*) { tell(states); });
  if (!taken) tell({});
}

}  // namespace celeriac::http
