// The rows of a correction: read before, written in one transaction after.
#pragma once

#include "tasks/llm_processing/patch.hpp"
#include "tasks/store/database.hpp"

#include <optional>
#include <string>
#include <vector>

namespace celeriac {

struct ReadExtraction {
  std::string id, status, tenant_user;  // of the newest extraction; of the invoice; its owner, may be empty
  Json header, lines, confidence;
  double overall = 0;
};

// Throws invoice_error("InvoiceNotFound").
ReadExtraction read_extraction(Database& database, const std::string& invoice_id);

// Writes llm_patches, the new extraction, the invoice's columns and its audit entry. Nothing
// when the extraction is not the newest any more (then false).
bool write_patches(Database& database, const std::string& invoice_id, const std::string& task_id,
                   const ReadExtraction& before, const std::vector<Patch>& patches, const Patched& after,
                   const std::string& model, const std::string& request_key);

// What the patches of this task came to, out of the rows; null when it has written none.
Json written_patches(Database& database, const std::string& task_id);

}  // namespace celeriac
