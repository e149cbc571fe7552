// XLSX by libxlsxwriter in its constant-memory mode: rows go to a temporary file as they come.
#include "tasks/export/writers.hpp"

#include <xlsxwriter.h>

#include <cstdlib>
#include <utility>

namespace celeriac {
namespace {

constexpr std::size_t excel_digits = 15;   // more are not kept by its numbers
constexpr std::size_t excel_text = 32767;  // characters in a cell
constexpr std::uint64_t excel_rows = 1048576;

bool fits_a_number(std::string_view text) {
  std::size_t digits = 0;
  for (const char c : text) digits += c >= '0' && c <= '9';
  return digits <= excel_digits;
}

// At most so many code points, cut between them.
std::string cut(std::string_view text) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (++characters > excel_text) return std::string(text.substr(0, i));
  }
  return std::string(text);
}

class XlsxWriter : public RecordWriter {
 public:
  XlsxWriter(const std::string& path, const std::vector<ExportColumn>& columns) : columns_(columns) {
    lxw_workbook_options options{};
    options.constant_memory = LXW_TRUE;
    book_ = workbook_new_opt(path.c_str(), &options);
    if (!book_) throw ExportWriteError(path + ": cannot be made");
    bold_ = workbook_add_format(book_);
    format_set_bold(bold_);
    date_ = workbook_add_format(book_);
    format_set_num_format(date_, "yyyy-mm-dd");
    path_ = path;
    begin_sheet();
  }
  ~XlsxWriter() override {
    if (book_) workbook_close(book_);
  }
  XlsxWriter(const XlsxWriter&) = delete;
  XlsxWriter& operator=(const XlsxWriter&) = delete;

  void add(std::span<const Cell> cells) override {
    if (row_ == excel_rows) begin_sheet();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i]) check(write(static_cast<lxw_col_t>(i), *cells[i], columns_[i].kind));
    }
    ++row_;
  }

  void finish(const ExportSummary&) override {
    lxw_workbook* book = std::exchange(book_, nullptr);
    check(workbook_close(book));
  }

 private:
  void begin_sheet() {
    const std::string name = "Export" + (sheets_++ ? " " + std::to_string(sheets_) : std::string());
    sheet_ = workbook_add_worksheet(book_, name.c_str());
    if (!sheet_) throw ExportWriteError(path_ + ": no sheet can be made");
    row_ = 0;
    lxw_col_t column = 0;
    for (const auto& title : columns_)
      check(worksheet_write_string(sheet_, 0, column++, cut(title.name).c_str(), bold_));
    row_ = 1;
  }

  // Text cells are strings to Excel whatever they begin with: nothing in them runs.
  lxw_error write(lxw_col_t column, const std::string& text, CellKind kind) {
    const auto row = static_cast<lxw_row_t>(row_);
    if (kind == CellKind::number && fits_a_number(text))
      return worksheet_write_number(sheet_, row, column, std::strtod(text.c_str(), nullptr), nullptr);
    if (kind == CellKind::boolean) return worksheet_write_boolean(sheet_, row, column, text == "t", nullptr);
    // Excel's calendar begins in 1900; PostgreSQL's days are "yyyy-mm-dd".
    if (kind == CellKind::date && text.size() == 10 && text >= "1900-01-01") {
      lxw_datetime day{};
      day.year = std::atoi(text.c_str());
      day.month = std::atoi(text.c_str() + 5);
      day.day = std::atoi(text.c_str() + 8);
      return worksheet_write_datetime(sheet_, row, column, &day, date_);
    }
    return worksheet_write_string(sheet_, row, column, cut(text).c_str(), nullptr);
  }

  void check(lxw_error error) const {
    if (error != LXW_NO_ERROR) throw ExportWriteError(path_ + ": " + lxw_strerror(error));
  }

  const std::vector<ExportColumn>& columns_;
  std::string path_;
  lxw_workbook* book_ = nullptr;
  lxw_worksheet* sheet_ = nullptr;
  lxw_format* bold_ = nullptr;
  lxw_format* date_ = nullptr;
  std::uint64_t row_ = 0;
  int sheets_ = 0;
};

}  // namespace

std::unique_ptr<RecordWriter> make_xlsx_writer(const std::string& path,
                                               const std::vector<ExportColumn>& columns) {
  return std::make_unique<XlsxWriter>(path, columns);
}

}  // namespace celeriac
