// Which invoices an export holds, and the statement that reads them page by page.
#pragma once

#include "protocol/error.hpp"
#include "protocol/json.hpp"
#include "tasks/export/template.hpp"
#include "tasks/store/database.hpp"

#include <string>
#include <vector>

namespace celeriac {

// A WHERE clause over i (invoices) with its values, bound from $1 on.
struct Selection {
  std::string where;  // "true" selects all
  std::vector<SqlValue> values;
};

// {"invoice_ids": [...], "vendor_ids": [...], "status": [...], "payment_status": [...], "currency": [...],
//  "date_from", "date_to" (of the invoice, inclusive), "created_from", "created_to" (ISO 8601, from
//  inclusive), "has_exceptions": bool, "requires_review": bool, "user_id"}. Unknown keys are refused.
Expected<Selection> read_selection(const Json& filters);

// Reads pages in the order of creation. It holds one page and no lock: an export of any size is a row of
// small statements. Invoices that arrive meanwhile are left out.
class InvoicePages {
 public:
  InvoicePages(Database& database, const ExportTemplate& layout, Selection selection, int page_size);

  std::int64_t count();  // invoices selected
  // Rows of the next page: the template's columns, then created_at and id. Empty at the end.
  Rows next();

 private:
  Database& database_;
  Selection selection_;
  std::string sql_;
  std::vector<SqlValue> values_;
  std::string after_created_ = "-infinity", after_id_ = "00000000-0000-0000-0000-000000000000", until_;
  int page_size_;
};

}  // namespace celeriac
