// invoice_processing.process_document(source, options): reads one document and stores the
// invoice found in it, once per content, then sends validation.validate_invoice.
//
// Whatever happens to the process, running the same message again ends in the same rows:
// all of them are written in one transaction keyed by the document's SHA-256, and the
// follow-up's id and whether it was sent are part of the invoice's row.
#pragma once

#include "tasks/extraction/invoice.hpp"
#include "worker/app.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace celeriac {

struct ProcessingConfig {
  std::string database_url;
  std::string storage_root;
  std::function<Extracted<ExtractedInvoice>(std::string_view bytes, const ExtractOptions&)> extract;
  std::uint64_t max_bytes = 25u << 20;
  int max_pages = 50;
  std::chrono::seconds soft_limit{30};
  std::function<void(std::string_view stage, int percent)> on_progress = {};
  std::string virus_scan_url = {};  // engines/virus_scan.hpp; empty: nobody looks
  bool patch_weak_fields = false;   // send llm_processing.patch_fields for what needs review
  int max_lost_runs = 3;            // a document that took so many slots with it is not read again
};

// `source` is a path, file:///... or storage://...; `options` an object (or null) with any of
// job_id, invoice_id, file_name, user_id, upload_source, again. Returns ids, fields, confidences; throws
// TaskError (docs/invoices.md lists the types).
Json process_document(Context& context, const ProcessingConfig& config, const std::string& source,
                      const Json& options);

void register_invoice_processing(App& app, ProcessingConfig config);

}  // namespace celeriac
