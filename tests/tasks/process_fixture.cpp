#include "tests/tasks/process_fixture.hpp"

#include "protocol/uuid.hpp"
#include "tasks/store/migrate.hpp"
#include "tasks/validation/validate_invoice.hpp"
#include "tests/tasks/store_database.hpp"

#include <unistd.h>

#include <ctime>
#include <fstream>

namespace celeriac::testing {
namespace {

Field field(std::string value, double confidence = 0.95) {
  return {.value = std::move(value), .confidence = confidence, .source = FieldSource::text, .page = 1};
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

}  // namespace

std::string RecordingPort::request(TaskRequest request) {
  if (auto* send = std::get_if<SendRequest>(&request)) {
    std::string refusal = on_send ? on_send(*send) : "";
    const std::lock_guard lock(mutex_);
    if (refusal.empty()) sent_.push_back(std::move(*send));
    return refusal;
  }
  const std::lock_guard lock(mutex_);
  if (auto* state = std::get_if<StateRequest>(&request)) states_.push_back(std::move(*state));
  return {};
}

std::vector<SendRequest> RecordingPort::sent() const {
  const std::lock_guard lock(mutex_);
  return sent_;
}

std::vector<StateRequest> RecordingPort::states() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

ExtractedInvoice sample_invoice() {
  ExtractedInvoice invoice;
  invoice.method = ExtractMethod::text;
  invoice.mime_type = "application/pdf";
  invoice.page_count = 1;
  invoice.invoice_number = field("R-1");
  invoice.invoice_date = field(today());
  invoice.currency = field("EUR");
  invoice.seller_name = field("Muster GmbH");
  invoice.subtotal = field("100.00");
  invoice.tax_amount = field("19.00");
  invoice.total_amount = field("119.00");
  invoice.line_items = {{.description = field("Bolts"),
                         .quantity = field("3"),
                         .unit_price = field("20.00"),
                         .line_total = field("60.00")},
                        {.description = field("Nuts"),
                         .quantity = field("2.5"),
                         .unit_price = field("16.00"),
                         .line_total = field("40.00")}};
  invoice.confidence = 0.95;
  return invoice;
}

InvoiceStage::InvoiceStage() {
  std::string pattern = (std::filesystem::temp_directory_path() / "celeriac-process-XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
  config.database_url = fresh_database();
  config.storage_root = (folder_ / "storage").string();
  config.extract = [this](std::string_view, const ExtractOptions& options) -> Extracted<ExtractedInvoice> {
    ++extractions;
    if (options.progress) options.progress("text", 1, 1);
    return sample_invoice();
  };
  Database database(config.database_url);
  migrate(database, invoice_migrations());
}

InvoiceStage::~InvoiceStage() { std::filesystem::remove_all(folder_); }

std::string InvoiceStage::document(const std::string& bytes) {
  const auto path = folder_ / ("document" + std::to_string(++documents_) + ".pdf");
  std::ofstream(path, std::ios::binary) << bytes;
  return path.string();
}

Json InvoiceStage::in_context(const std::string& task_id, const std::function<Json(Context&)>& body,
                              int retries) {
  auto headers = std::make_shared<TaskHeaders>();
  headers->id = task_id;
  headers->task = "test";
  headers->retries = retries;
  Job job;
  job.message = std::make_shared<Message>();
  job.headers = headers;
  job.hostname = "celery@test";
  const TaskOptions options;
  Context context(job, options, port, soft_limit);
  return body(context);
}

Json InvoiceStage::process(const std::string& source, const std::string& task_id, const Json& options,
                           int retries) {
  return in_context(
      task_id, [&](Context& context) { return process_document(context, config, source, options); }, retries);
}

Json InvoiceStage::validate(const std::string& invoice_id) {
  return in_context(uuid4(), [&](Context& context) {
    return validate_invoice(context, {config.database_url}, invoice_id);
  });
}

std::string InvoiceStage::failure(const std::string& source, const std::string& task_id, const Json& options,
                                  int retries) {
  try {
    process(source, task_id, options, retries);
  } catch (const TaskError& error) {
    return error.info().type;
  }
  return {};
}

std::string InvoiceStage::sql(const std::string& query) {
  Database database(config.database_url);
  const Rows rows = database.run(query);
  return rows.empty() ? "" : rows.str(0, 0);
}

}  // namespace celeriac::testing
