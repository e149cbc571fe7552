#include "tasks/invoice_processing/process_document.hpp"

#include "tasks/engines/virus_scan.hpp"
#include "tasks/invoice_processing/failure.hpp"
#include "tasks/invoice_processing/invoice_writer.hpp"
#include "tasks/invoice_processing/job_row.hpp"
#include "tasks/store/audit.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/log_levels.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>

namespace celeriac {
namespace {

constexpr int max_retries = 5;

struct ProcessOptions {
  std::string job_id, invoice_id, file_name, user_id, upload_source = "task";
  bool again = false;
};

ProcessOptions read_options(const Json& json) {
  ProcessOptions options;
  if (json.is_null()) return options;
  if (!json.is_object()) throw BadArguments("process_document: options must be an object");
  for (const auto& [key, value] : json.items()) {
    if (key == "again") {
      if (!value.is_boolean()) throw BadArguments("process_document: option 'again' must be true or false");
      options.again = value.get<bool>();
      continue;
    }
    std::string* target = key == "job_id"          ? &options.job_id
                          : key == "invoice_id"    ? &options.invoice_id
                          : key == "file_name"     ? &options.file_name
                          : key == "user_id"       ? &options.user_id
                          : key == "upload_source" ? &options.upload_source
                                                   : nullptr;
    if (!target) throw BadArguments("process_document: unknown option '" + key + "'");
    if (value.is_null()) continue;
    if (!value.is_string()) throw BadArguments("process_document: option '" + key + "' must be a string");
    *target = value.get<std::string>();
  }
  for (const auto* id : {&options.job_id, &options.invoice_id, &options.user_id}) {
    if (!id->empty() && !is_uuid(*id)) throw BadArguments("process_document: '" + *id + "' is not a UUID");
  }
  if (clean_text(options.upload_source, 50).empty()) options.upload_source = "task";
  return options;
}

std::string name_of(const ProcessOptions& options, const std::string& source) {
  std::string name = clean_text(options.file_name.empty() ? source : options.file_name, 5000);
  if (const auto slash = name.find_last_of("/\\"); slash != std::string::npos) name.erase(0, slash + 1);
  return name.empty() ? "document" : name;
}

std::string_view extension_of(std::string_view mime_type) {
  if (mime_type == "application/pdf") return ".pdf";
  if (mime_type == "image/jpeg") return ".jpg";
  if (mime_type == "image/png") return ".png";
  if (mime_type == "image/tiff") return ".tiff";
  if (mime_type.ends_with("/xml")) return ".xml";
  return ".bin";
}

std::string read_all(Reader& reader, std::uint64_t max_bytes) {
  std::string bytes;
  std::vector<char> buffer(256 * 1024);
  while (const auto count = reader.read(buffer)) {
    bytes.append(buffer.data(), count);
    if (bytes.size() > max_bytes) {
      throw StorageError(StorageFailure::too_large,
                         "the document has more than " + std::to_string(max_bytes) + " bytes");
    }
  }
  return bytes;
}

// One run of one message.
class Run {
 public:
  Run(Context& context, const ProcessingConfig& config, const std::string& source, ProcessOptions options)
      : context_(context),
        config_(config),
        source_(source),
        options_(std::move(options)),
        database_(slot_database(config.database_url)),
        job_(database_, {options_.job_id, context.task_id(), source, context.hostname(), options_.user_id}) {}

  Json operator()() {
    if (job_.completed()) {
      send_validation(job_.result().at("invoice_id"));
      return job_.result();
    }
    if (job_.lost_runs() >= config_.max_lost_runs) {
      throw invoice_error("DocumentCrashesReader", "reading this document ended the worker's process " +
                                                       std::to_string(job_.lost_runs()) + " times");
    }
    const std::string bytes = receive();
    const std::string sha256 = sha256_hex(bytes);
    const auto known = find_invoice(database_, sha256);
    const Json result = known && options_.again ? read_again(bytes, *known)
                        : known ? database_.transaction([&] { return complete(*known, true); })
                                : read_first(bytes);
    send_validation(result.at("invoice_id"));
    report("completed", 100, 100);
    return result;
  }

  // Leaves the reason in the job's row; the exception goes on to the worker.
  void failed(const TaskError& error) {
    const auto& passing = passing_failures();
    const bool again =
        std::ranges::find(passing, error.info().type) != passing.end() && context_.retries() < max_retries;
    try {
      again ? job_.wait_for_retry(error.what()) : job_.fail(error.info().type, error.what());
    } catch (const DatabaseError& gone) {
      context_.log(log_warning, std::string("processing_jobs was not updated: ") + gone.what());
    }
  }

 private:
  std::string receive() {
    report("receive", 2, 100);
    const bool stored = source_.starts_with("storage://");
    const bool local = source_.starts_with("file://");
    if (!stored && !local && source_.find("://") != std::string::npos) {
      throw StorageError(StorageFailure::refused, "unknown kind of source: " + clean_text(source_, 200));
    }
    const auto reader = stored  ? make_storage(config_.storage_root)->open(source_)
                        : local ? open_file(source_.substr(std::string_view("file://").size()))
                                : open_file(source_);
    return read_all(*reader, config_.max_bytes);
  }

  // Before anything of ours looks into it.
  void scan(const std::string& bytes) {
    if (config_.virus_scan_url.empty()) return;
    report("scan", 5, 100);
    const auto found = scan_for_viruses(config_.virus_scan_url, bytes, config_.soft_limit);
    if (!found) throw invoice_error("VirusScanUnavailable", found.error().what);
    if (*found) throw invoice_error("InfectedDocument", clean_text(**found, 200));
  }

  Json read_first(const std::string& bytes) {
    const auto began = JobRow::Clock::now();
    const ExtractedInvoice invoice = extract(bytes);
    const DocumentFile file{store(bytes, invoice.mime_type), name_of(options_, source_),
                            options_.upload_source, options_.user_id, options_.invoice_id};
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(JobRow::Clock::now() - began);
    context_.checkpoint();
    return database_.transaction([&] {
      audit_as(database_, {context_.task(), "document processed", context_.task_id(), options_.user_id});
      return complete(save_invoice(database_, file, invoice, took), false);
    });
  }

  // Of several runs at once each waits for the one before it, and ends in the same rows.
  Json read_again(const std::string& bytes, const InvoiceIds& ids) {
    const auto began = JobRow::Clock::now();
    const ExtractedInvoice invoice = extract(bytes);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(JobRow::Clock::now() - began);
    context_.checkpoint();
    return database_.transaction([&] {
      audit_as(database_, {context_.task(), "document read again", context_.task_id(), options_.user_id});
      const auto kept = replace_reading(database_, ids.invoice_id, invoice, took);
      if (!kept)
        throw invoice_error(
            "InvoiceNotEditable",
            "the invoice was approved or handed on, and is not read again; correct its fields "
            "instead, or process a corrected document");
      return complete(ids, false, Json{{"fields", kept->fields}, {"lines", kept->lines}});
    });
  }

  ExtractedInvoice extract(const std::string& bytes) {
    scan(bytes);
    report("extract", 10, 100);
    ExtractOptions options;
    options.max_bytes = config_.max_bytes;
    options.max_pages = config_.max_pages;
    options.deadline = config_.soft_limit;
    options.cancelled = [this] { return context_.soft_limit_exceeded(); };
    options.progress = [this](std::string_view stage, int done, int total) {
      report(stage, 10 + (total > 0 ? 75 * std::clamp(done, 0, total) / total : 0), 100);
    };
    auto invoice = config_.extract(bytes, options);
    if (!invoice) {
      context_.checkpoint();
      throw document_error(invoice.error());
    }
    if (invoice->line_items.size() > max_line_items) {
      throw invoice_error("TooManyLineItems", std::to_string(invoice->line_items.size()) +
                                                  " line items; at most " + std::to_string(max_line_items) +
                                                  " are stored");
    }
    report("save", 90, 100);
    return std::move(*invoice);
  }

  StoredObject store(const std::string& bytes, std::string_view mime_type) {
    const auto reader = read_memory(bytes);
    return make_storage(config_.storage_root)->put(*reader, extension_of(mime_type), config_.max_bytes);
  }

  Json complete(const InvoiceIds& ids, bool duplicate, const Json& kept = nullptr) {
    Json result = {{"status", "completed"}, {"job_id", job_.id()}, {"duplicate", duplicate}};
    if (!kept.is_null()) result["kept"] = kept;
    result.update(read_invoice(database_, ids));
    job_.complete(ids.file_id, result, confidence_value(result.at("confidence")));
    return result;
  }

  // The row stays locked until the broker has the message: of any number of runs one sends,
  // and a run killed on the way leaves the invoice unsent for the next delivery to mend.
  void send_validation(const std::string& invoice_id) {
    database_.transaction([&] {
      const Rows unsent = database_.run(
          "SELECT validation_task_id, requires_review FROM invoices WHERE id = $1 AND validation_sent_at IS "
          "NULL"
          " FOR UPDATE",
          {invoice_id});
      if (unsent.empty()) return;
      SendOptions send;
      send.task_id = unsent.str(0, 0);
      send.queue = "validation";
      context_.send("validation.validate_invoice", Json::array({invoice_id}), Json::object(), send);
      if (config_.patch_weak_fields && unsent.truth(0, 1)) {
        SendOptions patch;  // twice is once: what was corrected is weak no more
        patch.queue = "llm_processing";
        context_.send("llm_processing.patch_fields", Json::array({invoice_id}), Json::object(), patch);
      }
      database_.run("UPDATE invoices SET validation_sent_at = now() WHERE id = $1", {invoice_id});
    });
  }

  // Progress is for people: a database that is away for a moment must not end the reading.
  void report(std::string_view stage, int percent, int total) {
    percent = std::max(percent, last_percent_);
    last_percent_ = percent;
    context_.progress(static_cast<std::uint64_t>(percent), static_cast<std::uint64_t>(total), stage);
    if (config_.on_progress) config_.on_progress(stage, percent);
    if (!rows_follow_) return;
    try {
      job_.stage(stage, percent);
    } catch (const DatabaseError& error) {
      rows_follow_ = false;
      context_.log(log_warning, std::string("progress is not recorded: ") + error.what());
    }
  }

  Context& context_;
  const ProcessingConfig& config_;
  const std::string& source_;
  const ProcessOptions options_;
  Database& database_;
  JobRow job_;
  int last_percent_ = 0;
  bool rows_follow_ = true;
};

TaskError in_task_words(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const TaskError& error) {
    return error;
  } catch (const DatabaseError& error) {
    return task_error(error);
  } catch (const StorageError& error) {
    return document_error(error);
  } catch (const std::exception& error) {
    return invoice_error("ProcessingError", error.what());
  }
}

}  // namespace

Json process_document(Context& context, const ProcessingConfig& config, const std::string& source,
                      const Json& options) try {
  Run run(context, config, source, read_options(options));
  try {
    return run();
  } catch (const std::exception&) {
    const TaskError error = in_task_words(std::current_exception());
    run.failed(error);
    throw error;
  }
} catch (const DatabaseError& error) {
  throw task_error(error);  // before there was a row to write to
}

}  // namespace celeriac
