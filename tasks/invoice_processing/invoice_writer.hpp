// Writes an extracted invoice into its tables, once per content.
#pragma once

#include "protocol/json.hpp"
#include "tasks/extraction/invoice.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/storage.hpp"

#include <optional>
#include <string>
#include <vector>

namespace celeriac {

struct DocumentFile {
  StoredObject stored;
  std::string name;           // as the sender called it
  std::string upload_source;  // "task", "web", "email", ...
  std::string user_id;        // may be empty
  std::string invoice_id;     // the id to give it; empty: a new one
};

struct InvoiceIds {
  std::string invoice_id, file_id;
};

// The invoice that was made from the document with this SHA-256.
std::optional<InvoiceIds> find_invoice(Database& database, const std::string& sha256);

// Writes file_storage, invoices, invoice_line_items, invoice_extractions and audit_log. Call
// it inside a transaction. When another transaction has stored the same document, its rows
// are returned and nothing is written; when one is about to, this waits for it.
InvoiceIds save_invoice(Database& database, const DocumentFile& file, const ExtractedInvoice& invoice,
                        std::chrono::milliseconds took);

// What people corrected and another reading therefore left alone.
struct KeptCorrections {
  std::vector<std::string> fields;  // columns of the invoice
  std::vector<int> lines;           // by their number; they are kept whole
};

// Replaces what was read of an invoice by another reading of its document: fields, lines, one more row of
// invoice_extractions, a new follow-up. Call it inside a transaction; it waits for others that change the
// invoice. Empty, and nothing is written, when the invoice was approved or handed on.
std::optional<KeptCorrections> replace_reading(Database& database, const std::string& invoice_id,
                                               const ExtractedInvoice& invoice,
                                               std::chrono::milliseconds took);

// {"invoice_id", "file_storage_id", "file_hash", "fields", "line_items", ...}: what
// process_document returns, read back, so that every run of a document answers the same.
Json read_invoice(Database& database, const InvoiceIds& ids);

constexpr std::size_t max_line_items = 10'000;

}  // namespace celeriac
