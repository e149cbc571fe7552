// app.workers.email_tasks.*: those that read no mailbox. The others are in tasks/email_processing.
#include "tasks/aliases/options.hpp"
#include "tasks/aliases/register.hpp"
#include "tasks/store/clock.hpp"
#include "tasks/store/slot_database.hpp"

namespace celeriac {
namespace {

// Two retries, after five and ten minutes.
TaskOptions email_options(std::vector<std::string> params, Json defaults, double soft_limit) {
  TaskOptions options = alias_options(std::move(params), std::move(defaults), "email_processing", 2, 300);
  options.soft_time_limit = soft_limit;
  options.time_limit = 2 * soft_limit;
  return options;
}

std::string text_of(const Json& data, const char* name) {
  const auto found = data.find(name);
  return found != data.end() && found->is_string() ? found->get<std::string>() : "";
}

// The message names a content; its bytes are those that a mailbox brought.
Json process_attachment(Context& context, const AliasConfig& config, Database& database,
                        const std::string& email_id, const Json& data, const Json& user_id) {
  const std::string hash = data.is_object() ? text_of(data, "content_hash") : "";
  if (hash.empty()) throw BadArguments("process_email_attachment: attachment_data has no content_hash");
  const Rows stored = database.run(
      "SELECT storage_uri FROM email_attachments WHERE content_hash = $1 AND storage_uri IS NOT NULL"
      " UNION ALL SELECT blob_url FROM file_storage WHERE file_hash = $1 LIMIT 1",
      {hash});
  if (stored.empty()) throw invoice_error("DocumentNotFound", "no mailbox has brought the content " + hash);
  Json options = {{"file_name", text_of(data, "filename")}, {"upload_source", "email"}};
  if (user_id.is_string() && is_uuid(user_id.get<std::string>())) options["user_id"] = user_id;
  const Json result = process_document(context, config.processing, stored.str(0, 0), options);
  const Rows row = database.run("SELECT workflow_state, requires_review FROM invoices WHERE id = $1",
                                {result.at("invoice_id").get<std::string>()});
  return {{"email_id", email_id},
          {"invoice_id", result.at("invoice_id")},
          {"status", "success"},
          {"workflow_status", row.str(0, 0)},
          {"confidence_score", result.at("confidence")},
          {"requires_human_review", row.truth(0, 1)},
          {"processed_at", naive_now(database)}};
}

// Mails that are over; their documents and invoices stay.
Json cleanup_emails(Database& database, int days_to_keep) {
  if (days_to_keep < 0 || days_to_keep > 100000)
    throw BadArguments("cleanup_old_email_data: days_to_keep is out of range");
  const Rows cutoff =
      database.run("SELECT now() - make_interval(days => $1)", {std::to_string(days_to_keep)});
  const int deleted = database
                          .run(
                              "DELETE FROM emails WHERE received_at < $1::timestamptz AND status IN"
                              " ('processed', 'ignored', 'blocked', 'failed')",
                              {cutoff.str(0, 0)})
                          .affected();
  return {{"status", "success"},
          {"cutoff_date", cutoff.str(0, 0)},
          {"deleted_records", deleted},
          {"cleaned_at", naive_now(database)}};
}

// What the settings say; whether Gmail itself answers, a poll finds out.
Json email_health(Database& database, const AliasConfig& config) {
  bool storage = true;
  try {
    make_storage(config.processing.storage_root)->exists("storage://temp/health-check");
  } catch (const StorageError&) {
    storage = false;
  }
  const std::string time = naive_now(database);
  return {{"status", "success"},
          {"services",
           {{"status", storage ? "healthy" : "unhealthy"},
            {"gmail_service_configured", config.gmail_configured},
            {"storage_service_available", storage},
            {"security_validation_enabled",
             config.senders_are_checked || !config.processing.virus_scan_url.empty()},
            {"timestamp", time}}},
          {"checked_at", time}};
}

}  // namespace

void register_ap_email_names(App& app, const AliasConfig& config) {
  const std::string url = config.processing.database_url;
  app.task(
      "app.workers.email_tasks.process_email_attachment",
      [config](Context& context, const std::string& email_id, const Json& data, const Json& user_id) {
        return with_database(config.processing.database_url, [&](Database& database) {
          return process_attachment(context, config, database, email_id, data, user_id);
        });
      },
      email_options({"email_id", "attachment_data", "user_id"}, {{"user_id", nullptr}}, 1800));
  app.task(
      "app.workers.email_tasks.cleanup_old_email_data",
      [url](Context&, int days) {
        return with_database(url, [&](Database& database) { return cleanup_emails(database, days); });
      },
      email_options({"days_to_keep"}, {{"days_to_keep", 30}}, 300));
  app.task(
      "app.workers.email_tasks.health_check_email_services",
      [config](Context&) {
        return with_database(config.processing.database_url,
                             [&](Database& database) { return email_health(database, config); });
      },
      email_options({}, Json::object(), 120));
}

}  // namespace celeriac
