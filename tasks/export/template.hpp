// Which columns an export has, in which order, under which names, and how values are changed on their way.
#pragma once

#include "protocol/error.hpp"
#include "protocol/json.hpp"
#include "tasks/export/fields.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

struct ExportColumn {
  std::string name;                    // in the file
  const ExportField* field = nullptr;  // where the value comes from
  CellKind kind = CellKind::text;      // after the transform
  std::string transform;  // "", uppercase, lowercase, title_case, currency_format, percentage, date_format
  std::string format;     // of date_format, in PostgreSQL's words: "DD.MM.YYYY"
  std::string fallback;   // instead of nothing
  bool has_fallback = false;
  bool required = false;  // a record without it is left out and counted
};

struct ExportTemplate {
  std::string name;
  bool of_lines = false;  // one record for each line instead of each invoice
  std::vector<ExportColumn> columns;
};

// Reads the rows of export_templates: level ("invoice", "line") and field_mappings, an array of
// {"source_field", "target_field", "transform_function", "format_string", "default_value", "required"}.
Expected<ExportTemplate> read_export_template(std::string name, std::string_view level, const Json& mappings);

// Built in: "standard", "detailed", "accounting", "lines". Null when there is none.
const ExportTemplate* built_in_template(std::string_view name);

}  // namespace celeriac
