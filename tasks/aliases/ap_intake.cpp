// app.workers.invoice_tasks.*, app.workers.dlq_handlers.*, app.workers.export_tasks.*.
#include "tasks/aliases/options.hpp"
#include "tasks/aliases/register.hpp"
#include "tasks/dead_letters/dead_letters.hpp"
#include "tasks/export/export_invoice.hpp"
#include "tasks/export/export_job.hpp"
#include "tasks/maintenance/maintenance.hpp"
#include "tasks/store/clock.hpp"
#include "tasks/store/slot_database.hpp"

#include <algorithm>
#include <cctype>

namespace celeriac {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Json process(Context& context, const AliasConfig& config, const Json& args, const Json& kwargs) {
  const auto argument = [&](std::size_t place, const char* name) {
    const Json* value = args.size() > place     ? &args[place]
                        : kwargs.contains(name) ? &kwargs.at(name)
                                                : nullptr;
    if (!value || !value->is_string())
      throw BadArguments(std::string("process_invoice_task() needs the text argument '") + name + "'");
    return value->get<std::string>();
  };
  const std::string invoice_id = argument(0, "invoice_id"), path = argument(1, "file_path");
  argument(2, "file_hash");  // recomputed: the content's own digest counts
  const bool placed = path.starts_with('/') || path.find("://") != std::string::npos;
  const Json options = {{"invoice_id", invoice_id}, {"upload_source", "ap_intake"}};
  const Json result =
      process_document(context, config.processing, placed ? path : "storage://" + path, options);
  Database& database = slot_database(config.processing.database_url);
  const Rows row = database.run("SELECT status, workflow_state, requires_review FROM invoices WHERE id = $1",
                                {result.at("invoice_id").get<std::string>()});
  return {{"invoice_id", result.at("invoice_id")},
          {"status", lower(row.str(0, 0))},
          {"workflow_state", row.str(0, 1)},
          {"requires_human_review", row.truth(0, 2)},
          {"processed_at", naive_now(database)}};
}

Json validate(Context& context, const AliasConfig& config, const std::string& invoice_id) {
  const Json verdict = validate_invoice(context, config.validation, invoice_id);
  return {{"invoice_id", invoice_id},
          {"validation_passed", verdict.at("validation_passed")},
          {"errors_count", verdict.at("errors_count")},
          {"warnings_count", verdict.at("warnings_count")},
          {"validated_at", verdict.at("validated_at")}};
}

}  // namespace

void register_ap_intake_names(App& app, const AliasConfig& config) {
  const std::string url = config.processing.database_url, root = config.processing.storage_root;
  app.raw_task(
      "app.workers.invoice_tasks.process_invoice_task",
      [config](Context& context, const Json& args, const Json& kwargs) {
        return with_database(config.processing.database_url,
                             [&](Database&) { return process(context, config, args, kwargs); });
      },
      alias_options({}, Json::object(), "invoice_processing", 3, 60));

  // The stored invoice is judged; the extraction that travels along is what it was made of.
  app.task(
      "app.workers.invoice_tasks.validate_invoice_task",
      [config](Context& context, const std::string& invoice_id, const Json&) {
        return validate(context, config, invoice_id);
      },
      alias_options({"invoice_id", "extraction_result"}, {{"extraction_result", nullptr}}, "validation", 2,
                    30));

  app.task(
      "app.workers.invoice_tasks.export_invoice_task",
      [url, root](Context& context, const std::string& invoice_id, const std::string& format,
                  const std::string& destination) {
        return with_database(url, [&](Database& database) {
          const auto storage = make_storage(root);
          return export_invoice(context, database, *storage, invoice_id, format, destination);
        });
      },
      alias_options({"invoice_id", "export_format", "destination"},
                    {{"export_format", "json"}, {"destination", "default"}}, "export", 2, 30));

  app.task(
      "app.workers.export_tasks.process_export_job",
      [url, root, endpoints = config.export_endpoints](Context& context, const std::string& job_id) {
        if (!is_uuid(job_id)) throw BadArguments("process_export_job: job_id is not a UUID");
        return with_database(url, [&](Database& database) -> Json {
          const auto storage = make_storage(root);
          try {
            const Json result = run_export_job(context, database, *storage, endpoints, job_id);
            return {{"status", result.at("status")}, {"job_id", job_id}};
          } catch (const TaskError& error) {
            if (error.info().type == "StorageUnavailable" || error.info().type == "DeliveryFailed") throw;
            return {{"status", "error"}, {"message", error.what()}};
          }
        });
      },
      alias_options({"job_id"}, Json::object(), "export", 3, 60));

  app.task(
      "app.workers.export_tasks.generate_export_report",
      [url, root](Context&, const std::string& type) {
        return with_database(url, [&](Database& database) {
          return generate_export_report(database, *make_storage(root), type);
        });
      },
      alias_options({"report_type"}, {{"report_type", "daily"}}, "export", 2, 30));

  app.task(
      "app.workers.dlq_handlers.monitor_dlq_health",
      [url](Context&) {
        with_database(url, [](Database& database) { return dead_letter_health(database); });
        return Json(nullptr);
      },
      alias_options({}, Json::object(), "dlq_processing", 2, 30));
  app.task(
      "app.workers.dlq_handlers.auto_redrive",
      [url](Context& context) {
        with_database(url, [&](Database& database) { return auto_redrive(context, database, 100); });
        return Json(nullptr);
      },
      alias_options({}, Json::object(), "dlq_processing", 2, 30));
}

}  // namespace celeriac
