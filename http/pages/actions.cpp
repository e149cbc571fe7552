// What a form does, with its row: who, what, when, how it ended. Nothing is done that could not be written
// down.
#include "http/front.hpp"
#include "http/operator_actions.hpp"

#include <spdlog/spdlog.h>
#include <memory>

namespace celeriac::http {

void Front::act(const Request& request, const Respond& respond, std::string action, std::string target,
                Json detail, std::function<void(const EndAction&)> work) {
  const auto what = std::make_shared<const OperatorAction>(OperatorAction{
      request.caller.user_id, std::move(action), std::move(target), request.id, std::move(detail)});
  const auto id = std::make_shared<std::string>();
  // The row is ended although nobody may see it: what was done is answered all the same.
  const EndAction end = [this, what, id](const std::string& error, const Json& more,
                                         std::function<void()> answer) {
    spdlog::info("request {}: {} {} {} {}: {}", what->request_id, what->actor, what->action, what->target,
                 dump_json(more), error.empty() ? "done" : error);
    const bool taken = database_->run<bool>(
        [what, id, error, more](Database& database) {
          end_action(database, *id, *what, error, more);
          return true;
        },
        [id, answer](bool, const DatabaseError* failure) {
          if (failure)
            spdlog::error("operator action {}: its end cannot be written: {}", *id, failure->what());
          answer();
        });
    if (taken) return;
    spdlog::error("operator action {}: its end cannot be written: too much waits", *id);
    answer();
  };
  in_database(
      [what, id](Database& database) {
        *id = begin_action(database, *what);
        return json(200, Json::object());
      },
      [respond, end, work = std::move(work)](Response written) {
        if (written.status != 200) return respond(std::move(written));
        work(end);
      });
}

}  // namespace celeriac::http
