// CSV, JSON and JSON Lines.
#include "tasks/export/csv.hpp"
#include "tasks/export/output_file.hpp"
#include "tasks/export/writers.hpp"

namespace celeriac {
namespace {

class CsvWriter : public RecordWriter {
 public:
  CsvWriter(const std::string& path, const std::vector<ExportColumn>& columns)
      : file_(path), columns_(columns) {
    std::string row;
    for (const auto& column : columns)
      row += (row.empty() ? "" : ",") + csv_field(column.name, CellKind::text);
    file_.write(row + "\r\n");
  }

  void add(std::span<const Cell> cells) override {
    std::string row;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) row += ',';
      if (!cells[i]) continue;
      const bool truth = columns_[i].kind == CellKind::boolean;
      row += truth ? (*cells[i] == "t" ? "true" : "false") : csv_field(*cells[i], columns_[i].kind);
    }
    // A record of one empty field would be an empty line, which readers skip.
    if (row.empty()) row = "\"\"";
    file_.write(row + "\r\n");
  }

  void finish(const ExportSummary&) override { file_.close(); }

 private:
  OutputFile file_;
  const std::vector<ExportColumn>& columns_;
};

class JsonWriter : public RecordWriter {
 public:
  JsonWriter(const std::string& path, const std::vector<ExportColumn>& columns, bool lines)
      : file_(path), columns_(columns), lines_(lines) {
    for (const auto& column : columns) names_.push_back(dump_json(column.name) + ": ");
    if (!lines_)
      file_.write("{\"export_metadata\": {\"format\": \"json\", \"version\": \"2.0\"}, \"records\": [");
  }

  void add(std::span<const Cell> cells) override {
    std::string record = any_ && !lines_ ? ",\n{" : lines_ ? "{" : "\n{";
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) record += ", ";
      record += names_[i] + value(cells[i], columns_[i].kind);
    }
    record += lines_ ? "}\n" : "}";
    file_.write(record);
    any_ = true;
  }

  void finish(const ExportSummary& summary) override {
    if (!lines_) {
      const Json document = {{"records", summary.records}, {"exported_at", summary.exported_at}};
      file_.write("\n], \"summary\": " + dump_json(document) + "}\n");
    }
    file_.close();
  }

 private:
  // PostgreSQL writes a numeric as JSON does, so its digits are taken over as they are.
  static std::string value(const Cell& cell, CellKind kind) {
    if (!cell) return "null";
    if (kind == CellKind::number) return *cell;
    if (kind == CellKind::boolean) return *cell == "t" ? "true" : "false";
    return dump_json(*cell);
  }

  OutputFile file_;
  const std::vector<ExportColumn>& columns_;
  std::vector<std::string> names_;
  bool lines_, any_ = false;
};

}  // namespace

std::unique_ptr<RecordWriter> make_csv_writer(const std::string& path,
                                              const std::vector<ExportColumn>& columns) {
  return std::make_unique<CsvWriter>(path, columns);
}
std::unique_ptr<RecordWriter> make_json_writer(const std::string& path,
                                               const std::vector<ExportColumn>& columns, bool lines) {
  return std::make_unique<JsonWriter>(path, columns, lines);
}

}  // namespace celeriac
