// app.workers.export_tasks of approvals and ERP systems, app.workers.quickbooks_tasks.*,
// app.workers.report_tasks.*, the bare names of service levels, and the other system's tasks.*_report*.
#include "tasks/aliases/options.hpp"
#include "tasks/aliases/register.hpp"
#include "tasks/export/erp.hpp"
#include "tasks/export/quickbooks.hpp"
#include "tasks/maintenance/reports.hpp"
#include "tasks/maintenance/service_levels.hpp"
#include "tasks/store/slot_database.hpp"

namespace celeriac {
namespace {

// What ends in one of these is no fault of ours.
TaskOptions outside_options(std::vector<std::string> params, Json defaults, const std::string& queue,
                            int times, double first) {
  TaskOptions options = alias_options(std::move(params), std::move(defaults), queue, times, first);
  options.throws = {"InvalidExport",          "InvoiceNotFound",       "InvoiceNotReady",
                    "QuickBooksNotConnected", "QuickBooksRefused",     "DeliveryRefused",
                    "ApprovalNotFound",       "ApprovalNotGiven",      "ReportNotFound",
                    "WebhookNotSigned",       "ReportRecipientUnknown"};
  return options;
}

template <class Body>
Json with_stores(const AliasConfig& config, Body body) try {
  return with_database(config.processing.database_url, [&](Database& database) -> Json {
    const auto storage = make_storage(config.processing.storage_root);
    return body(database, *storage);
  });
} catch (const StorageError& error) {
  throw invoice_error("StorageUnavailable", error.what());
}

std::string text_or_empty(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

void register_exports(App& app, const AliasConfig& config) {
  app.task(
      "app.workers.export_tasks.process_staged_export_approval",
      [config](Context& context, const std::string& request) {
        return with_stores(config, [&](Database& database, Storage& storage) {
          return export_approved(context, database, storage, request);
        });
      },
      outside_options({"approval_request_id"}, Json::object(), "export", 3, 60));
  app.task(
      "app.workers.export_tasks.export_to_erp_system",
      [config](Context& context, const std::string& invoice, const std::string& system,
               const std::string& where) {
        return with_stores(config, [&](Database& database, Storage& storage) {
          return export_to_erp(context, database, storage, config.export_endpoints, invoice, system, where);
        });
      },
      outside_options({"invoice_id", "erp_system_type", "environment"}, {{"environment", "sandbox"}},
                      "export", 3, 60));
}

void register_quickbooks(App& app, const AliasConfig& config) {
  const std::string prefix = "app.workers.quickbooks_tasks.";
  app.task(
      prefix + "export_invoice_to_quickbooks",
      [config](Context& context, const std::string& invoice, const std::string& user, bool dry_run,
               const Json& connection) {
        return with_stores(config, [&](Database& database, Storage&) {
          return export_to_quickbooks(context, database, config.export_endpoints, invoice,
                                      {user, text_or_empty(connection), dry_run});
        });
      },
      outside_options({"invoice_id", "user_id", "dry_run", "connection_id"},
                      {{"dry_run", false}, {"connection_id", nullptr}}, "export", 3, 60));
  app.task(
      prefix + "batch_export_invoices_to_quickbooks",
      [config](Context& context, const std::vector<std::string>& invoices, const std::string& user,
               bool dry_run, const Json& connection) {
        return with_stores(config, [&](Database& database, Storage&) {
          return export_batch_to_quickbooks(context, database, config.export_endpoints, invoices,
                                            {user, text_or_empty(connection), dry_run});
        });
      },
      outside_options({"invoice_ids", "user_id", "dry_run", "connection_id"},
                      {{"dry_run", false}, {"connection_id", nullptr}}, "export", 2, 120));
  app.task(
      prefix + "process_quickbooks_webhook",
      [config](Context&, const Json& data, const Json& signature) {
        return with_stores(config, [&](Database& database, Storage&) {
          return note_quickbooks_webhook(database, config.quickbooks_verifier_token, data, signature);
        });
      },
      outside_options({"webhook_data", "signature"}, {{"signature", nullptr}}, "export", 2, 30));
  app.task(
      prefix + "refresh_quickbooks_tokens",
      [config](Context& context) {
        return with_stores(config, [&](Database& database, Storage&) {
          return refresh_quickbooks_tokens(context, database, config.export_endpoints);
        });
      },
      outside_options({}, Json::object(), "export", 2, 30));
}

void register_service_levels(App& app, const AliasConfig& config) {
  app.task(
      "calculate_sli_measurements",
      [config](Context&, const std::string& period, int hours, bool force) {
        return with_stores(config, [&](Database& database, Storage&) {
          return calculate_sli_measurements(database, period, hours, force);
        });
      },
      outside_options({"period", "hours_back", "force_recalculate"},
                      {{"period", "daily"}, {"hours_back", 24}, {"force_recalculate", false}}, "validation",
                      2, 30));
  app.task(
      "initialize_default_slos",
      [config](Context&) {
        return with_stores(config,
                           [&](Database& database, Storage&) { return initialize_default_slos(database); });
      },
      outside_options({}, Json::object(), "validation", 2, 30));
  // Their beat calls the second name, which their worker does not know.
  for (const char* name : {"cleanup_old_metrics", "cleanup_old_metrics_task"})
    app.task(
        name,
        [config](Context&, int days, bool dry_run) {
          return with_stores(config, [&](Database& database, Storage&) {
            return cleanup_old_metrics(database, days, dry_run);
          });
        },
        outside_options({"retention_days", "dry_run"}, {{"retention_days", 90}, {"dry_run", false}},
                        "validation", 2, 30));
  app.task(
      "generate_slo_report",
      [config](Context& context, const std::string& type, int days, bool mailed, const Json& recipients) {
        return with_stores(config, [&](Database& database, Storage&) {
          const auto to = mailed ? report_addresses(config.mail, recipients) : std::vector<std::string>();
          Json report = generate_slo_report(database, type, days);
          if (mailed)
            report.update(mail_report(context, database, config.mail, to,
                                      {"Service levels, " + type, "slo_report.json", dump_json(report)}));
          return report;
        });
      },
      outside_options({"report_type", "days", "send_email", "recipients"},
                      {{"report_type", "daily"}, {"days", 1}, {"send_email", false}, {"recipients", nullptr}},
                      "validation", 2, 30));
}

void register_reports(App& app, const AliasConfig& config) {
  const std::string prefix = "app.workers.report_tasks.";
  const auto weekly = [config](const std::string& week, const std::string& by) {
    return with_stores(config, [&](Database& database, Storage& storage) {
      return generate_weekly_report(database, storage, week, by);
    });
  };
  const auto weekly_mailed = [config](Context& context, const std::string& week, const Json& groups) {
    return with_stores(config, [&](Database& database, Storage& storage) {
      const auto to = report_addresses(config.mail, groups);
      Json report = generate_weekly_report(database, storage, week, context.task());
      const std::string first = report.at("week_start");
      report.update(mail_report(
          context, database, config.mail, to,
          {"Weekly report, " + first, "weekly_" + first + ".json", weekly_report_document(database, first)}));
      return report;
    });
  };
  app.task(
      prefix + "generate_weekly_report_task",
      [weekly](Context&, const std::string& week, const Json&, const Json& by) {
        return weekly(week, text_or_empty(by));
      },
      outside_options({"week_start_iso", "template_id", "generated_by"},
                      {{"template_id", nullptr}, {"generated_by", nullptr}}, "export", 3, 60));
  app.task(
      prefix + "generate_and_send_weekly_report_task",
      [weekly, weekly_mailed](Context& context, const Json& week, bool mailed, const Json& groups) {
        return mailed ? weekly_mailed(context, text_or_empty(week), groups)
                      : weekly(text_or_empty(week), context.task());
      },
      outside_options({"week_start_iso", "send_email", "recipient_groups"},
                      {{"week_start_iso", nullptr}, {"send_email", true}, {"recipient_groups", nullptr}},
                      "export", 3, 60));
  // For the group `executive`, when there is one.
  app.task(
      "generate_monday_cfo_digest",
      [config, weekly_mailed](Context& context) {
        const bool known = config.mail.recipients.contains("executive");
        return weekly_mailed(context, "", known ? Json::array({"executive"}) : Json::array());
      },
      outside_options({}, Json::object(), "export", 3, 60));
  // The second takes up what was given up, too.
  for (const bool again : {false, true})
    app.task(
        prefix + (again ? "retry_failed_deliveries_task" : "send_scheduled_reports_task"),
        [config, again](Context& context) {
          return with_stores(config, [&](Database& database, Storage&) -> Json {
            if (again) retry_report_mails(database);
            const MailsSent mails = send_report_mails(context, database, config.mail, 100);
            return {{"deliveries_sent", mails.ids.size()},
                    {"delivery_ids", mails.ids},
                    {"message", config.mail.smtp_url.empty()
                                    ? "smtp_url is not set: reports are kept in the storage"
                                    : std::to_string(mails.failed) + " could not be sent"}};
          });
        },
        outside_options({}, Json::object(), "email_processing", 2, 30));
  app.task(
      prefix + "generate_cost_analysis_task",
      [config](Context&, const Json& from, const Json& to) {
        return with_stores(config, [&](Database& database, Storage&) {
          return cost_analysis(database, text_or_empty(from), text_or_empty(to));
        });
      },
      outside_options({"week_start_iso", "week_end_iso"},
                      {{"week_start_iso", nullptr}, {"week_end_iso", nullptr}}, "export", 2, 30));
  const auto clean = [config](Context&, int days) {
    return with_stores(config, [&](Database& database, Storage& storage) {
      return cleanup_old_reports(database, storage, days);
    });
  };
  app.task(prefix + "cleanup_old_reports_task", clean,
           outside_options({"days_to_keep"}, {{"days_to_keep", 90}}, "export", 2, 30));
  app.task("tasks.cleanup_old_reports", clean, outside_options({"days"}, {{"days", 30}}, "celery", 2, 30));
  app.task(
      "tasks.generate_report",
      [config](Context&, const std::string& id) {
        return with_stores(config, [&](Database& database, Storage& storage) {
          return generate_report(database, storage, id);
        });
      },
      outside_options({"report_id"}, Json::object(), "celery", 2, 30));
}

}  // namespace

void register_outside_names(App& app, const AliasConfig& config) {
  register_exports(app, config);
  register_quickbooks(app, config);
  register_service_levels(app, config);
  register_reports(app, config);
}

}  // namespace celeriac
