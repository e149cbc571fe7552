// Tables for people: columns as wide as they need, cut to the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace celeriac {

class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);  // one for each column

  // `width` 0: as wide as needed. Too wide: the widest left-aligned column is cut with "...".
  std::string text(std::size_t width, bool bold_titles) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns of the terminal on stdout; 0 when it is none.
std::size_t terminal_width();
// True when stdout is a terminal and neither NO_COLOR nor --no-color is given.
bool use_color(bool no_color_option);

}  // namespace celeriac
