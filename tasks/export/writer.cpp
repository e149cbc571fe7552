#include "tasks/export/writer.hpp"

#include "tasks/export/writers.hpp"

#include <algorithm>
#include <cctype>

namespace celeriac {
namespace {

struct Row {
  ExportFormat format;
  std::string_view label, media_type, extension;
};
constexpr Row formats[] = {
    {ExportFormat::csv, "CSV", "text/csv", ".csv"},
    {ExportFormat::json, "JSON", "application/json", ".json"},
    {ExportFormat::jsonl, "JSONL", "application/x-ndjson", ".jsonl"},
    {ExportFormat::xlsx, "XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
     ".xlsx"},
};
const Row& row(ExportFormat format) { return formats[static_cast<std::size_t>(format)]; }

}  // namespace

std::string_view to_string(ExportFormat format) { return row(format).label; }
std::string_view media_type(ExportFormat format) { return row(format).media_type; }
std::string_view extension(ExportFormat format) { return row(format).extension; }

std::optional<ExportFormat> parse_export_format(std::string_view label) {
  std::string upper(label);
  std::ranges::transform(upper, upper.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (upper == "EXCEL") return ExportFormat::xlsx;
  for (const auto& known : formats) {
    if (known.label == upper) return known.format;
  }
  return std::nullopt;
}

std::unique_ptr<RecordWriter> make_writer(ExportFormat format, const std::string& path,
                                          const std::vector<ExportColumn>& columns) {
  switch (format) {
    case ExportFormat::csv:
      return make_csv_writer(path, columns);
    case ExportFormat::json:
      return make_json_writer(path, columns, false);
    case ExportFormat::jsonl:
      return make_json_writer(path, columns, true);
    case ExportFormat::xlsx:
      return make_xlsx_writer(path, columns);
  }
  return nullptr;
}

}  // namespace celeriac
