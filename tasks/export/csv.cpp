#include "tasks/export/csv.hpp"

namespace celeriac {
namespace {

bool runs_as_formula(std::string_view text) {
  return !text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
}

}  // namespace

std::string csv_field(std::string_view text, CellKind kind) {
  std::string out;
  if (kind == CellKind::text && runs_as_formula(text)) out = '\'';
  out += text;
  if (out.find_first_of(",\"\r\n") == std::string::npos && !out.starts_with(' ') && !out.ends_with(' '))
    return out;
  std::string quoted = "\"";
  for (const char c : out) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string csv_row(std::initializer_list<CsvField> fields) {
  std::string row;
  bool first = true;
  for (const auto& field : fields) {
    if (!first) row += ',';
    first = false;
    row += csv_field(field.text, field.kind);
  }
  return row + "\r\n";
}

}  // namespace celeriac
