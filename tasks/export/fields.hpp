// What of an invoice can be exported: names, kinds, and where each lies in the database.
#pragma once

#include <span>
#include <string_view>

namespace celeriac {

enum class CellKind { text, number, date, boolean };

struct ExportField {
  std::string_view name;
  CellKind kind = CellKind::text;
  std::string_view sql;  // over i (invoices) and, for a line's field, l (invoice_line_items)
  bool of_line = false;
};

std::span<const ExportField> export_fields();

// By its name, or by one of the names the two older vocabularies use for it: "header.invoice_no",
// "po_no", "total". Null when there is none.
const ExportField* find_export_field(std::string_view name);

}  // namespace celeriac
