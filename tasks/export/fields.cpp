#include "tasks/export/fields.hpp"

#include <algorithm>
#include <utility>

namespace celeriac {
namespace {

using enum CellKind;

constexpr ExportField fields[] = {
    {"invoice_id", text, "i.id"},
    {"vendor_id", text, "i.vendor_id"},
    {"vendor_name", text, "i.vendor_name"},
    {"vendor_tax_id", text, "i.vendor_tax_id"},
    {"buyer_name", text, "i.buyer_name"},
    {"invoice_number", text, "i.invoice_number"},
    {"invoice_date", date, "i.invoice_date"},
    {"due_date", date, "i.due_date"},
    {"po_number", text, "i.po_number"},
    {"currency", text, "i.currency"},
    {"subtotal", number, "i.subtotal"},
    {"tax_amount", number, "i.tax_amount"},
    {"freight", number, "i.freight"},
    {"total_amount", number, "i.total_amount"},
    {"document_type", text, "i.document_type"},
    {"status", text, "i.status"},
    {"payment_status", text, "i.payment_status"},
    {"confidence_score", number, "i.confidence_score"},
    {"requires_review", boolean, "i.requires_review"},
    {"original_filename", text, "i.original_filename"},
    {"file_hash", text, "i.file_hash"},
    {"line_count", number, "(SELECT count(*) FROM invoice_line_items c WHERE c.invoice_id = i.id)"},
    {"created_at", text, "to_char(i.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"},
    {"updated_at", text, "to_char(i.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"},
    {"line_number", number, "l.line_number", true},
    {"item_number", text, "l.item_number", true},
    {"description", text, "l.description", true},
    {"quantity", number, "l.quantity", true},
    {"unit_of_measure", text, "l.unit_of_measure", true},
    {"unit_price", number, "l.unit_price", true},
    {"line_tax_rate", number, "l.tax_rate", true},
    {"line_total", number, "l.line_total", true},
};

constexpr std::pair<std::string_view, std::string_view> other_names[] = {
    {"id", "invoice_id"},           {"invoice_no", "invoice_number"}, {"po_no", "po_number"},
    {"tax", "tax_amount"},          {"total", "total_amount"},        {"subtotal_amount", "subtotal"},
    {"processed_at", "updated_at"}, {"amount", "line_total"},         {"confidence", "confidence_score"},
};

}  // namespace

std::span<const ExportField> export_fields() { return fields; }

const ExportField* find_export_field(std::string_view name) {
  for (const std::string_view path : {"header.", "invoice.", "metadata.", "lines."}) {
    if (name.starts_with(path)) {
      name.remove_prefix(path.size());
      break;
    }
  }
  for (const auto& [other, ours] : other_names) {
    if (other == name) name = ours;
  }
  const auto found = std::ranges::find(fields, name, &ExportField::name);
  return found == std::end(fields) ? nullptr : found;
}

}  // namespace celeriac
