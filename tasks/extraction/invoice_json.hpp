// JSON forms of an extracted invoice.
#pragma once

#include "tasks/extraction/invoice.hpp"

#include <nlohmann/json_fwd.hpp>

namespace celeriac {

// Everything: {"document_type", "method", "fields": {name: {"value", "confidence", "source",
// "page", "box"}}, "line_items": [...], "warnings": [...], "confidence", "page_count", ...}.
// Absent fields are left out. raw_text is included only when asked for: it may be large.
nlohmann::ordered_json to_json(const ExtractedInvoice&, bool with_raw_text = false);

// Values only, flat: {"id", "status": "ok", "document_type", <field>: text or null, ...,
// "line_items": [{"description": ...}], "confidence", "warnings": [codes]}.
nlohmann::ordered_json prediction_line(std::string_view id, const ExtractedInvoice&);

// {"id", "status": "error", "error": {"code", "message"}}
nlohmann::ordered_json error_line(std::string_view id, const ExtractError&);

}  // namespace celeriac
