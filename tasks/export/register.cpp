#include "tasks/export/register.hpp"
#include "protocol/uuid.hpp"
#include "tasks/export/erp.hpp"
#include "tasks/export/export_invoice.hpp"
#include "tasks/export/export_job.hpp"
#include "tasks/store/slot_database.hpp"

#include <utility>

namespace celeriac {
namespace {

TaskOptions export_options(std::vector<std::string> params) {
  TaskOptions options;
  options.params = std::move(params);
  options.queue = "export";
  options.acks_late = true;
  options.reject_on_worker_lost = true;
  options.max_retries = 5;
  options.autoretry_for = {"OperationalError", "StorageUnavailable", "DeliveryFailed"};
  options.retry_backoff = 4;  // five attempts outlive a database that restarts
  options.retry_backoff_max = 300;
  options.soft_time_limit = 3000;
  options.time_limit = 3600;
  options.throws = {"ExportJobNotFound", "InvalidExport", "InvoiceNotFound", "InvoiceNotReady",
                    "DeliveryRefused"};
  return options;
}

template <class Body>
Json with_stores(const ExportConfig& config, Body body) try {
  return with_database(config.database_url, std::move(body));
} catch (const StorageError& error) {
  throw invoice_error("StorageUnavailable", error.what());
}

Json run_job(Context& context, const ExportConfig& config, Database& database, const std::string& job_id) {
  const auto storage = make_storage(config.storage_root);
  return run_export_job(context, database, *storage, config.endpoints, job_id);
}

}  // namespace

void register_export(App& app, ExportConfig config) {
  auto options = export_options({"invoice_id", "export_format", "destination"});
  options.defaults = {{"export_format", "json"}, {"destination", "default"}};
  app.task(
      "export.export_invoice",
      [config](Context& context, const std::string& invoice_id, const std::string& format,
               const std::string& destination) {
        return with_stores(config, [&](Database& database) {
          const auto storage = make_storage(config.storage_root);
          return export_invoice(context, database, *storage, invoice_id, format, destination);
        });
      },
      std::move(options));

  app.task(
      "export.run_job",
      [config](Context& context, const std::string& job_id) {
        if (!is_uuid(job_id)) throw BadArguments("run_job: job_id is not a UUID");
        return with_stores(config,
                           [&](Database& database) { return run_job(context, config, database, job_id); });
      },
      export_options({"job_id"}));

  app.task(
      "export.deliver_staged",
      [config](Context& context, const std::string& export_id, const std::string& endpoint) {
        return with_stores(config, [&](Database& database) {
          const auto storage = make_storage(config.storage_root);
          return deliver_staged(context, database, *storage, config.endpoints, export_id, endpoint);
        });
      },
      export_options({"export_id", "endpoint"}));

  options = export_options(
      {"export_format", "filters", "template", "destination", "destination_config", "name", "user_id"});
  options.defaults = {{"export_format", "csv"},
                      {"filters", Json::object()},
                      {"template", "standard"},
                      {"destination", "file_storage"},
                      {"destination_config", Json::object()},
                      {"name", ""},
                      {"user_id", ""}};
  app.task(
      "export.export_invoices",
      [config](Context& context, const std::string& format, const Json& filters, const std::string& layout,
               const std::string& destination, const Json& destination_config, const std::string& name,
               const std::string& user_id) {
        return with_stores(config, [&](Database& database) {
          // The task's id is the job's: the message again is the same job.
          ExportOrder order;
          order.id = is_uuid(context.task_id()) ? context.task_id() : uuid4();
          order.format = format, order.template_name = layout, order.destination = destination;
          order.name = name, order.user_id = user_id;
          order.destination_config = destination_config, order.filters = filters;
          create_export_job(database, order, config.endpoints);
          return run_job(context, config, database, order.id);
        });
      },
      std::move(options));
}

}  // namespace celeriac
