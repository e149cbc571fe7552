#include "tasks/export/export_job.hpp"

#include "protocol/uuid.hpp"
#include "tasks/export/invalid.hpp"
#include "tasks/export/selection.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"
#include "tasks/store/unnamed_file.hpp"

#include <algorithm>
#include <chrono>

namespace celeriac {
namespace {

constexpr std::uint64_t max_file = 8ull << 30;

Json parsed(std::string_view text, const char* column) {
  auto json = parse_json(text);
  if (!json)
    throw DatabaseError(SqlFailure::data, "",
                        std::string("export_jobs.") + column + ": " + json.error().what);
  return std::move(*json);
}

// One run at a time, however many messages name the job. Ends with the connection at the latest.
class JobLock {
 public:
  JobLock(Database& database, const std::string& job_id) : database_(database), job_id_(job_id) {
    database_.run("SELECT pg_advisory_lock(hashtextextended($1, 0))", {job_id_});
  }
  ~JobLock() {
    try {
      database_.run("SELECT pg_advisory_unlock(hashtextextended($1, 0))", {job_id_});
    } catch (const DatabaseError&) {
      // The connection is gone, and the lock with it.
    }
  }
  JobLock(const JobLock&) = delete;
  JobLock& operator=(const JobLock&) = delete;

 private:
  Database& database_;
  std::string job_id_;
};

struct Job {
  ExportFormat format = ExportFormat::csv;
  ExportTemplate layout;
  Selection selection;
  std::string destination, file_name, status;
  Json destination_config;
  int batch_size = 1000;
};

ExportTemplate find_template(Database& database, const SqlValue& id) {
  if (!id) return *built_in_template("standard");
  const Rows row =
      database.run("SELECT name, level, field_mappings FROM export_templates WHERE id = $1", {id});
  if (row.empty()) invalid_export("the template is gone");
  auto layout = read_export_template(row.str(0, 0), row.text(0, 1), parsed(row.text(0, 2), "field_mappings"));
  if (!layout) invalid_export("template " + row.str(0, 0) + ": " + layout.error().what);
  return std::move(*layout);
}

Job read_job(Database& database, const std::string& id) {
  const Rows row = database.run(
      "SELECT format, template_id, destination, destination_config, filters, batch_size, status,"
      " to_char(created_at AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS') FROM export_jobs WHERE id = $1",
      {id});
  if (row.empty()) throw invoice_error("ExportJobNotFound", "there is no export job " + id);
  Job job;
  job.format = parse_export_format(row.text(0, 0)).value();
  job.destination = row.str(0, 2);
  job.destination_config = parsed(row.text(0, 3), "destination_config");
  job.batch_size = std::stoi(row.str(0, 5));
  job.status = row.str(0, 6);
  job.file_name = "export_" + id.substr(0, 8) + "_" + row.str(0, 7) + std::string(extension(job.format));
  if (job.status == "COMPLETED" || job.status == "CANCELLED") return job;
  const auto built_in = job.destination_config.find("template");
  const ExportTemplate* named = built_in != job.destination_config.end() && built_in->is_string()
                                    ? built_in_template(built_in->get<std::string>())
                                    : nullptr;
  job.layout = named && row.is_null(0, 1) ? *named : find_template(database, row.value(0, 1));
  auto selection = read_selection(parsed(row.text(0, 4), "filters"));
  if (!selection) invalid_export(selection.error().what);
  job.selection = std::move(*selection);
  return job;
}

Json read_result(Database& database, const std::string& id) {
  const Rows row = database.run(
      "SELECT lower(j.status::text), file_name, file_path, file_size, file_hash, total_records, "
      "skipped_records,"
      " o.id, to_char(delivered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM export_jobs j"
      " LEFT JOIN outbox o ON o.effect_key = 'export:' || j.id WHERE j.id = $1",
      {id});
  const auto number = [&](int column) {
    return row.is_null(0, column) ? Json(nullptr) : Json(std::stoll(row.str(0, column)));
  };
  const auto text = [&](int column) {
    return row.is_null(0, column) ? Json(nullptr) : Json(row.str(0, column));
  };
  return {{"status", row.str(0, 0)},    {"job_id", id},
          {"file_name", text(1)},       {"file_path", text(2)},
          {"file_size", number(3)},     {"file_hash", text(4)},
          {"total_records", number(5)}, {"skipped_records", number(6)},
          {"delivery_id", text(7)},     {"delivered_at", text(8)}};
}

void log_event(Database& database, const std::string& job_id, const std::string& event, const Json& data) {
  database.run(
      "INSERT INTO export_audit_logs (id, export_job_id, event_type, event_data) VALUES ($1, $2, $3, $4)",
      {uuid4(), job_id, event, dump_json(data)});
}

// One run of the job.
class Run {
 public:
  Run(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
      const std::string& id)
      : context_(context), database_(database), storage_(storage), endpoints_(endpoints), id_(id) {}

  Json operator()() {
    const JobLock lock(database_, id_);
    const Job job = read_job(database_, id_);
    if (job.status == "CANCELLED") return read_result(database_, id_);
    if (job.status == "COMPLETED") return delivered();
    begin();
    const UnnamedFile spool;
    if (!write(job, spool.path())) return read_result(database_, id_);
    const auto file = open_file(spool.path());
    const StoredObject stored = storage_.put_as(*file, "exports/" + id_ + "/" + job.file_name, max_file);
    complete(job, stored);
    return delivered();
  }

  void failed(const TaskError& error) {
    database_.transaction([&] {
      audit();
      database_.run(
          "UPDATE export_jobs SET status = 'FAILED', error_code = $2, error_message = $3, completed_at = "
          "now(),"
          " updated_at = now() WHERE id = $1 AND status IN ('PENDING', 'PREPARING', 'PROCESSING', 'FAILED')",
          {id_, clean_text(error.info().type, 100), clean_text(error.what(), 2000)});
      if (!database_.run("SELECT FROM export_jobs WHERE id = $1", {id_}).empty())
        log_event(database_, id_, "job_failed", {{"error", error.info().type}});
    });
  }

 private:
  Json delivered() {
    deliver_export(context_, database_, storage_, endpoints_, id_);
    return read_result(database_, id_);
  }

  void audit() { audit_as(database_, {context_.task(), "export", context_.task_id(), ""}); }

  void begin() {
    database_.transaction([&] {
      audit();
      database_.run(
          "UPDATE export_jobs SET retry_count = retry_count + (status IN ('PROCESSING', 'FAILED'))::int,"
          " status = 'PROCESSING', started_at = now(), updated_at = now(), completed_at = NULL, error_code = "
          "NULL,"
          " error_message = NULL, progress = 0, processed_records = 0, skipped_records = 0, task_id = $2, "
          "worker = $3"
          " WHERE id = $1",
          {id_, clean_text(context_.task_id(), 255), clean_text(context_.hostname(), 255)});
      log_event(database_, id_, "job_started", {{"worker", context_.hostname()}});
    });
  }

  // False: somebody cancelled the job.
  bool write(const Job& job, const std::string& path) {
    const auto writer = make_writer(job.format, path, job.layout.columns);
    InvoicePages pages(database_, job.layout, job.selection, job.batch_size);
    const std::int64_t total = pages.count();
    const auto columns = static_cast<int>(job.layout.columns.size());
    std::vector<Cell> cells(job.layout.columns.size());
    std::int64_t invoices = 0;
    for (;;) {
      context_.checkpoint();
      const Rows rows = pages.next();
      if (rows.empty()) break;
      std::string_view last;
      for (int row = 0; row < rows.size(); ++row) {
        if (rows.text(row, columns + 1) != last) ++invoices;
        last = rows.text(row, columns + 1);
        add(*writer, job.layout, rows, row, cells);
      }
      if (!report(invoices, total)) return false;
    }
    const std::string now =
        database_.run("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").str(0, 0);
    writer->finish({records_, now});
    return true;
  }

  void add(RecordWriter& writer, const ExportTemplate& layout, const Rows& rows, int row,
           std::vector<Cell>& cells) {
    for (std::size_t i = 0; i < layout.columns.size(); ++i) {
      const auto& column = layout.columns[i];
      cells[i] = rows.value(row, static_cast<int>(i));
      if (!cells[i] && column.has_fallback) cells[i] = column.fallback;
      if (!cells[i] && column.required) {
        ++skipped_;
        return;
      }
    }
    writer.add(cells);
    ++records_;
  }

  bool report(std::int64_t invoices, std::int64_t total) {
    const auto percent = total > 0 ? std::min<std::int64_t>(99, invoices * 100 / total) : 99;
    context_.progress(static_cast<std::uint64_t>(invoices),
                      static_cast<std::uint64_t>(std::max(total, invoices)), "export");
    return database_
               .run(
                   "UPDATE export_jobs SET processed_records = $2, skipped_records = $3, total_records = $4, "
                   "progress = $5,"
                   " updated_at = now() WHERE id = $1 AND status = 'PROCESSING'",
                   {id_, std::to_string(records_), std::to_string(skipped_), std::to_string(total),
                    std::to_string(percent)})
               .affected() == 1;
  }

  // The file is there, and the job says so.
  void complete(const Job& job, const StoredObject& stored) {
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_);
    database_.transaction([&] {
      audit();
      const bool done =
          database_
              .run(
                  "UPDATE export_jobs SET status = 'COMPLETED', progress = 100, file_path = $2, file_name = "
                  "$3,"
                  " file_size = $4, file_hash = $5, total_records = $6, processed_records = $6, "
                  "skipped_records = $7,"
                  " completed_at = now(), updated_at = now() WHERE id = $1 AND status = 'PROCESSING'",
                  {id_, stored.uri, job.file_name, std::to_string(stored.size), stored.sha256,
                   std::to_string(records_), std::to_string(skipped_)})
              .affected() == 1;
      if (!done) return;  // cancelled at the last moment
      database_.run(
          "INSERT INTO export_metrics (export_job_id, total_records, file_size, processing_time_ms, "
          "records_per_second)"
          " VALUES ($1, $2::bigint, $3, $4::bigint, $2::bigint * 1000.0 / greatest($4::bigint, 1)) ON "
          "CONFLICT "
          "(export_job_id) DO UPDATE SET"
          " total_records = excluded.total_records, file_size = excluded.file_size,"
          " processing_time_ms = excluded.processing_time_ms, records_per_second = "
          "excluded.records_per_second",
          {id_, std::to_string(records_), std::to_string(stored.size), std::to_string(took.count())});
      if (job.destination == "API_ENDPOINT") decide_delivery(database_, id_, job.destination_config);
      log_event(database_, id_, "job_completed", {{"records", records_}, {"file_size", stored.size}});
    });
  }

  Context& context_;
  Database& database_;
  Storage& storage_;
  const ExportEndpoints& endpoints_;
  const std::string& id_;
  std::uint64_t records_ = 0, skipped_ = 0;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

}  // namespace

Json run_export_job(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
                    const std::string& job_id) {
  Run run(context, database, storage, endpoints, job_id);
  try {
    return run();
  } catch (const ExportWriteError& error) {
    const auto failure = invoice_error("StorageUnavailable", error.what());
    run.failed(failure);
    throw failure;
  } catch (const StorageError& error) {
    const auto failure = invoice_error("StorageUnavailable", error.what());
    run.failed(failure);
    throw failure;
  } catch (const TaskError& error) {
    run.failed(error);
    throw;
  }
}

void create_export_job(Database& database, const ExportOrder& order, const ExportEndpoints& endpoints) {
  if (!is_uuid(order.id)) invalid_export("the job's id is not a UUID");
  if (!order.user_id.empty() && !is_uuid(order.user_id)) invalid_export("user_id is not a UUID");
  const auto format = parse_export_format(order.format);
  if (!format)
    invalid_export("there is no format '" + clean_text(order.format, 50) + "': csv, json, jsonl, xlsx");
  const std::string destination = upper(order.destination);
  if (destination != "FILE_STORAGE" && destination != "DOWNLOAD" && destination != "API_ENDPOINT")
    invalid_export("there is no destination '" + clean_text(order.destination, 50) +
                   "': file_storage, download, api_endpoint");
  Json config = order.destination_config;
  if (!config.is_object()) invalid_export("destination_config must be an object");
  if (destination == "API_ENDPOINT") check_delivery(config, endpoints);
  if (const auto selection = read_selection(order.filters); !selection)
    invalid_export(selection.error().what);
  SqlValue template_id;
  if (built_in_template(order.template_name)) {
    config["template"] = order.template_name;
  } else {
    const Rows row =
        database.run("SELECT id FROM export_templates WHERE name = $1 AND is_active", {order.template_name});
    if (row.empty()) invalid_export("there is no template '" + clean_text(order.template_name, 100) + "'");
    template_id = row.str(0, 0);
    find_template(database, template_id);
  }
  database.transaction([&] {
    const bool made =
        database
            .run(
                "INSERT INTO export_jobs (id, name, template_id, format, destination, destination_config,"
                " filters, user_id) VALUES ($1, $2, $3, $4, $5, $6, $7, ensure_user($8))"
                " ON CONFLICT (id) DO NOTHING",
                {order.id, text_value(order.name, 255), template_id, std::string(to_string(*format)),
                 destination, dump_json(config), dump_json(order.filters),
                 order.user_id.empty() ? SqlValue() : SqlValue(order.user_id)})
            .affected() == 1;
    if (made) log_event(database, order.id, "job_created", {{"format", to_string(*format)}});
  });
}

}  // namespace celeriac
