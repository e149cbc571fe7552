// One invoice as one file: header, lines, metadata.
#pragma once

#include "tasks/export/delivery.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/storage.hpp"
#include "worker/context.hpp"

#include <string>

namespace celeriac {

struct ExportConfig {
  std::string database_url, storage_root;
  ExportEndpoints endpoints;
};

// export.export_invoice(invoice_id, export_format="json", destination="default"): stores the file, writes
// staged_exports and moves the invoice to STAGED. The same content to the same destination is one export,
// however often it is asked for. Formats: json, csv. Returns {"invoice_id", "export_format", "file_name",
// "file_size" (bytes), "storage_url", "exported_at"}. Throws TaskError InvoiceNotFound, InvoiceNotReady,
// InvalidExport.
Json export_invoice(Context& context, Database& database, Storage& storage, const std::string& invoice_id,
                    const std::string& export_format, const std::string& destination);

}  // namespace celeriac
