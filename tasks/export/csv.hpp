// RFC 4180, safe to open in a spreadsheet.
#pragma once

#include "tasks/export/fields.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace celeriac {

struct CsvField {
  std::string text;
  CellKind kind = CellKind::text;
};

// Quoted where it must be. A text that Excel, LibreOffice or Google Sheets would run as a formula gets an
// apostrophe; numbers keep their sign.
std::string csv_field(std::string_view text, CellKind kind);

// A record with its line end.
std::string csv_row(std::initializer_list<CsvField> fields);

}  // namespace celeriac
