// A place to run the invoice tasks in: migrated database, storage folder, documents, a reader
// that answers what a test wants, and a worker's end of the Context that writes down what was sent.
#pragma once

#include "tasks/invoice_processing/process_document.hpp"
#include "tasks/store/database.hpp"
#include "worker/context.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace celeriac::testing {

// What a worker would have got.
class RecordingPort : public TaskPort {
 public:
  std::string request(TaskRequest request) override;

  std::vector<SendRequest> sent() const;
  std::vector<StateRequest> states() const;

  std::function<std::string(const SendRequest&)> on_send;  // "" accepts; else the broker's refusal

 private:
  mutable std::mutex mutex_;
  std::vector<SendRequest> sent_;
  std::vector<StateRequest> states_;
};

// Two lines, 100.00 + 19.00 = 119.00, every rule holds.
ExtractedInvoice sample_invoice();

class InvoiceStage {
 public:
  InvoiceStage();  // a fresh database and folder
  ~InvoiceStage();
  InvoiceStage(const InvoiceStage&) = delete;
  InvoiceStage& operator=(const InvoiceStage&) = delete;

  ProcessingConfig config;  // reads every document as sample_invoice()
  RecordingPort port;
  std::atomic<bool> soft_limit{false};
  std::atomic<int> extractions{0};

  // Writes a document and returns its path.
  std::string document(const std::string& bytes);

  // Runs a body as a task of this id.
  Json in_context(const std::string& task_id, const std::function<Json(Context&)>& body, int retries = 0);

  Json process(const std::string& source, const std::string& task_id, const Json& options = nullptr,
               int retries = 0);
  Json validate(const std::string& invoice_id);

  // The exception type the run ended with, "" when it returned.
  std::string failure(const std::string& source, const std::string& task_id, const Json& options = nullptr,
                      int retries = 0);

  // One value out of the database.
  std::string sql(const std::string& query);

 private:
  std::filesystem::path folder_;
  int documents_ = 0;
};

}  // namespace celeriac::testing
