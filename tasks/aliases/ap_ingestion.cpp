// app.workers.ingestion_tasks.*: documents that another front end has stored and listed in ingestion_jobs.
#include "tasks/aliases/options.hpp"
#include "tasks/aliases/register.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/clock.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>
#include <chrono>

namespace celeriac {
namespace {

constexpr double ignorable = 0.98;  // confidence of a duplicate that nobody needs to look at

std::string text_argument(const std::string& task, const Json& args, const Json& kwargs, const char* name) {
  const Json* value = !args.empty() ? &args[0] : kwargs.contains(name) ? &kwargs.at(name) : nullptr;
  if (!value || !value->is_string() || !is_uuid(value->get<std::string>()))
    throw BadArguments(task + "() needs the UUID '" + name + "'");
  return value->get<std::string>();
}

// Earlier invoices that this one repeats beyond doubt: the duplicates that need no judge.
int certain_duplicates(Database& database, const std::string& invoice_id) {
  return std::stoi(
      database
          .run("SELECT count(*) FROM invoices i JOIN invoices o ON o.vendor_key = i.vendor_key AND "
               "o.number_key = i.number_key AND o.total_amount = i.total_amount AND o.invoice_date = "
               "i.invoice_date AND (o.created_at, o.id) < (i.created_at, i.id) WHERE i.id = $1",
               {invoice_id})
          .str(0, 0));
}

Json ingest(Context& context, const AliasConfig& config, Database& database, const std::string& job_id) {
  const auto began = std::chrono::steady_clock::now();
  const Rows job = database.run(
      "UPDATE ingestion_jobs SET status = 'PROCESSING', updated_at = now() WHERE id = $1 AND status NOT IN "
      "('COMPLETED', 'REQUIRE_REVIEW') RETURNING storage_path, original_filename, uploaded_by",
      {job_id});
  if (job.empty() && database.run("SELECT FROM ingestion_jobs WHERE id = $1", {job_id}).empty())
    throw invoice_error("IngestionJobNotFound", "there is no ingestion job " + job_id);
  if (!job.empty()) {
    try {
      const std::string path = job.str(0, 0);
      const bool placed = path.starts_with('/') || path.find("://") != std::string::npos;
      // The invoice bears the job's id: what an earlier run of the job read is no duplicate.
      Json wishes = {{"file_name", job.str(0, 1)}, {"upload_source", "ingestion"}, {"invoice_id", job_id}};
      if (!job.is_null(0, 2)) wishes["user_id"] = job.str(0, 2);
      const Json read =
          process_document(context, config.processing, placed ? path : "storage://" + path, wishes);
      const std::string invoice = read.at("invoice_id");
      // A RECEIVED row that listed the document before keeps its own id, and is no duplicate either.
      const bool another = read.at("duplicate") && invoice != job_id;
      const bool repeated = another || certain_duplicates(database, invoice) > 0;
      database.run(
          "UPDATE ingestion_jobs SET status = $2, invoice_id = $3, is_duplicate = $4, duplicate_group_id = "
          "CASE WHEN $4 "
          "THEN coalesce(duplicate_group_id, gen_random_uuid()) END, extracted_metadata = $5, error_code = "
          "NULL, "
          "error_message = NULL, completed_at = now(), updated_at = now() WHERE id = $1",
          {job_id, repeated ? "REQUIRE_REVIEW" : "COMPLETED", invoice, repeated ? "true" : "false",
           dump_json({{"document_type", read.at("document_type")},
                      {"page_count", read.at("page_count")},
                      {"confidence", read.at("confidence")}})});
    } catch (const TaskError& error) {
      database.run(
          "UPDATE ingestion_jobs SET status = 'FAILED', error_code = $2, error_message = $3, retry_count = "
          "$4, "
          "updated_at = now() WHERE id = $1",
          {job_id, clean_text(error.info().type, 100), clean_text(error.what(), 2000),
           std::to_string(context.retries())});
      throw;
    }
  }
  const Rows now = database.run(
      "SELECT lower(j.status::text), j.invoice_id, j.is_duplicate, coalesce(i.requires_review, false), "
      "(SELECT count(*) "
      "FROM duplicate_records d WHERE d.invoice_id = j.invoice_id) FROM ingestion_jobs j LEFT JOIN invoices "
      "i ON i.id = "
      "j.invoice_id WHERE j.id = $1",
      {job_id});
  const int found = std::max(std::stoi(now.str(0, 4)), now.truth(0, 2) ? 1 : 0);
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
  return {{"ingestion_job_id", job_id},
          {"status", now.str(0, 0)},
          {"processing_duration_ms", took},
          {"invoice_id", now.is_null(0, 1) ? Json(nullptr) : Json(now.str(0, 1))},
          {"duplicates_found", found},
          {"requires_human_review", now.truth(0, 2) || now.truth(0, 3)},
          {"processed_at", naive_now(database)}};
}

// What is the same beyond doubt is put aside, the rest is for people.
Json resolve_duplicates(Context& context, Database& database, const std::string& job_id) {
  return database.transaction([&]() -> Json {
    audit_as(database, {context.task(), "duplicates resolved", context.task_id(), ""});
    const Rows job = database.run("SELECT invoice_id FROM ingestion_jobs WHERE id = $1 FOR UPDATE", {job_id});
    if (job.empty()) throw invoice_error("IngestionJobNotFound", "there is no ingestion job " + job_id);
    const Rows records = database.run(
        "SELECT id, duplicate_invoice_id, confidence FROM duplicate_records WHERE invoice_id = $1 AND status "
        "= "
        "'detected' ORDER BY confidence DESC, id FOR UPDATE",
        {job.value(0, 0)});
    if (records.empty()) return {{"ingestion_job_id", job_id}, {"duplicates_resolved", 0}};
    int automatic = 0;
    Json summary = Json::array();
    for (int i = 0; i < records.size(); ++i) {
      const double confidence = std::stod(records.str(i, 2));
      const bool put_aside = confidence >= ignorable;
      automatic += put_aside ? 1 : 0;
      const std::string action = put_aside ? "AUTO_IGNORE" : "MANUAL_REVIEW";
      database.run(
          "UPDATE duplicate_records SET resolution_action = $2::duplicateaction, requires_human_review = NOT "
          "$3, status = "
          "CASE WHEN $3 THEN 'resolved' ELSE status END, resolved_by = CASE WHEN $3 THEN 'system_auto' END, "
          "resolved_at "
          "= CASE WHEN $3 THEN now() END WHERE id = $1",
          {records.str(i, 0), action, put_aside ? "true" : "false"});
      summary.push_back({{"duplicate_id", records.str(i, 0)},
                         {"duplicate_invoice_id", records.str(i, 1)},
                         {"confidence", confidence},
                         {"action", action}});
    }
    const int left = records.size() - automatic;
    database.run("UPDATE ingestion_jobs SET status = $2, updated_at = now() WHERE id = $1",
                 {job_id, left > 0 ? "REQUIRE_REVIEW" : "COMPLETED"});
    return {{"ingestion_job_id", job_id},
            {"duplicates_resolved", records.size()},
            {"auto_resolved", automatic},
            {"manual_review_required", left},
            {"resolution_summary", summary}};
  });
}

// Rows of jobs that are over; documents and invoices stay.
Json cleanup(Database& database, int days) {
  if (days < 0 || days > 100000)
    throw BadArguments("cleanup_expired_ingestion_data_task: days_to_keep is out of range");
  const Rows cutoff = database.run("SELECT now() - make_interval(days => $1)", {std::to_string(days)});
  return database.transaction([&]() -> Json {
    const int duplicates =
        database
            .run("DELETE FROM duplicate_records WHERE status <> 'detected' AND created_at < $1::timestamptz",
                 {cutoff.str(0, 0)})
            .affected();
    const int jobs =
        database
            .run(
                "DELETE FROM ingestion_jobs WHERE status IN ('COMPLETED', 'FAILED') AND updated_at < "
                "$1::timestamptz",
                {cutoff.str(0, 0)})
            .affected();
    return {{"status", "success"},
            {"cutoff_date", cutoff.str(0, 0)},
            {"deleted_jobs", jobs},
            {"deleted_duplicates", duplicates},
            {"cleaned_at", naive_now(database)}};
  });
}

}  // namespace

void register_ap_ingestion_names(App& app, const AliasConfig& config) {
  const std::string url = config.processing.database_url, prefix = "app.workers.ingestion_tasks.";
  app.raw_task(
      prefix + "process_ingestion_task",
      [config](Context& context, const Json& args, const Json& kwargs) {
        const std::string id = text_argument("process_ingestion_task", args, kwargs, "ingestion_job_id");
        return with_database(config.processing.database_url,
                             [&](Database& database) { return ingest(context, config, database, id); });
      },
      alias_options({}, Json::object(), "invoice_processing", 5, 60));
  app.raw_task(
      prefix + "resolve_duplicates_task",
      [url](Context& context, const Json& args, const Json& kwargs) {
        const std::string id = text_argument("resolve_duplicates_task", args, kwargs, "ingestion_job_id");
        return with_database(url,
                             [&](Database& database) { return resolve_duplicates(context, database, id); });
      },
      alias_options({}, Json::object(), "validation", 3, 30));
  app.task(
      prefix + "cleanup_expired_ingestion_data_task",
      [url](Context&, int keep) {
        return with_database(url, [&](Database& database) { return cleanup(database, keep); });
      },
      alias_options({"days_to_keep"}, {{"days_to_keep", 90}}, "export", 2, 15));
  app.task(
      prefix + "schedule_periodic_cleanup",
      [prefix](Context& context) {
        SendOptions send;
        send.queue = "celery";
        const std::string id = context.send(prefix + "cleanup_expired_ingestion_data_task", Json::array(),
                                            {{"days_to_keep", 90}}, send);
        return Json{{"task_id", id}};
      },
      alias_options({}, Json::object(), "celery", 2, 15));
}

}  // namespace celeriac
