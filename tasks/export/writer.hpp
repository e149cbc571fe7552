// Records to a file, one at a time: memory does not grow with their number.
#pragma once

#include "tasks/export/template.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

enum class ExportFormat { csv, json, jsonl, xlsx };
std::string_view to_string(ExportFormat);  // "CSV", ... as the database spells it
std::optional<ExportFormat> parse_export_format(std::string_view label);  // any case; "excel" is XLSX
std::string_view media_type(ExportFormat);
std::string_view extension(ExportFormat);  // ".csv"

// The file cannot be written: disk full, no permission.
struct ExportWriteError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Cell = std::optional<std::string>;  // PostgreSQL's text of a value

struct ExportSummary {
  std::uint64_t records = 0;
  std::string exported_at;  // ISO 8601, UTC
};

class RecordWriter {
 public:
  virtual ~RecordWriter() = default;
  virtual void add(std::span<const Cell> cells) = 0;      // one for each column
  virtual void finish(const ExportSummary& summary) = 0;  // the file is complete and closed afterwards
};

// Writes `path` anew. CSV: RFC 4180 with a header row, UTF-8; a text that a spreadsheet would run as a
// formula gets an apostrophe. JSON: {"export_metadata", "records": [...], "summary"}; numbers keep every
// digit. JSON Lines: one object a line. XLSX: amounts as numbers when Excel's 15 digits hold them, else as
// text; a new sheet past Excel's last row.
std::unique_ptr<RecordWriter> make_writer(ExportFormat format, const std::string& path,
                                          const std::vector<ExportColumn>& columns);

}  // namespace celeriac
