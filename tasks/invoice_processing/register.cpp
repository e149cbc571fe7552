#include "tasks/invoice_processing/failure.hpp"
#include "tasks/invoice_processing/process_document.hpp"

#include <utility>

namespace celeriac {
namespace {

// The shape of the call; what it means needs the configuration.
Json take_arguments(Context&, std::string source, Json options) {
  return Json::array({std::move(source), std::move(options)});
}

}  // namespace

void register_invoice_processing(App& app, ProcessingConfig config) {
  TaskOptions options;
  options.params = {"source", "options"};
  options.defaults = {{"options", nullptr}};
  options.queue = "invoice_processing";
  options.acks_late = true;
  options.reject_on_worker_lost = true;  // bounded by ProcessingConfig::max_lost_runs
  options.max_retries = 5;
  options.soft_time_limit = static_cast<double>(config.soft_limit.count());
  options.time_limit = 2.0 * static_cast<double>(config.soft_limit.count());
  options.autoretry_for = passing_failures();
  options.retry_backoff = 4;  // five attempts outlive a database that restarts
  options.retry_backoff_max = 60;
  options.throws = document_failures();

  auto rules = argument_rules(&take_arguments, options);
  auto arguments = bind_arguments(&take_arguments, options);
  app.raw_task(
      "invoice_processing.process_document",
      [arguments = std::move(arguments), config = std::move(config)](Context& context, const Json& args,
                                                                     const Json& kwargs) {
        const Json taken = arguments(context, args, kwargs);
        return process_document(context, config, taken.at(0).get<std::string>(), taken.at(1));
      },
      std::move(options), std::move(rules));
}

}  // namespace celeriac
