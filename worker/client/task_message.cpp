#include "worker/client/task_message.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "worker/outgoing.hpp"
#include "worker/routes.hpp"

#include <utility>

namespace celeriac {

SendOptions complete_options(std::string_view task, SendOptions options, const Settings& settings,
                             const App& app) {
  if (options.queue.empty()) options.queue = route(task, settings, app);
  if (!options.priority) options.priority = settings.task_default_priority;
  if (!options.ignore_result) {
    const App::Task* known = app.find(task);
    options.ignore_result = known ? known->options.ignore_result : std::nullopt;
    if (!options.ignore_result) options.ignore_result = settings.task_ignore_result;
  }
  return options;
}

SendRequest client_message(std::string_view task, Json args, Json kwargs, SendOptions options) {
  static const TaskHeaders no_parent;
  static const std::string reply_to = uuid4();
  if (args.is_null()) args = Json::array();
  if (kwargs.is_null()) kwargs = Json::object();
  SendRequest request =
      build_send(no_parent, task, std::move(args), std::move(kwargs), std::move(options), unix_now());
  request.outgoing.message.properties.reply_to = reply_to;
  return request;
}

}  // namespace celeriac
