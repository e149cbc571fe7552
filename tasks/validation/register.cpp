#include "tasks/validation/validate_invoice.hpp"

#include <utility>

namespace celeriac {
namespace {

Json take_arguments(Context&, std::string invoice_id) { return invoice_id; }

}  // namespace

void register_validation(App& app, ValidationConfig config) {
  TaskOptions options;
  options.params = {"invoice_id"};
  options.queue = "validation";
  options.acks_late = true;
  options.reject_on_worker_lost = true;
  options.max_retries = 5;
  options.autoretry_for = {"OperationalError"};
  options.retry_backoff = 1;
  options.retry_backoff_max = 60;
  options.throws = {"InvoiceNotFound"};

  auto arguments = bind_arguments(&take_arguments, options);
  app.raw_task(
      "validation.validate_invoice",
      [arguments = std::move(arguments), config = std::move(config)](Context& context, const Json& args,
                                                                     const Json& kwargs) {
        return validate_invoice(context, config, arguments(context, args, kwargs).get<std::string>());
      },
      std::move(options));
}

}  // namespace celeriac
