// A document's words put back into lines and cells, the way an eye groups them.
#pragma once

#include "tasks/engines/engines.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace celeriac {

struct Token {
  std::string text;
  std::string folded;  // see fold(); empty for punctuation and for percentages
  Box box;
  float confidence = 1;
  bool starts_cell = false;  // a gap wider than a blank stands before it
};

struct Line {
  int page = 1;
  Box box;
  std::vector<Token> tokens;  // from left to right; never empty

  std::string text(std::size_t from = 0, std::size_t to = std::string::npos) const;
  // The cell that holds token `at`, as [first, last).
  std::size_t cell_begin(std::size_t at) const;
  std::size_t cell_end(std::size_t at) const;
  Box span_box(std::size_t from, std::size_t to) const;
};

struct Layout {
  std::vector<Line> lines;   // from top to bottom, page by page
  std::vector<Box> pages;    // sizes
  std::string text() const;  // cells parted by two blanks
};

// Bounded: at most 200 000 words are looked at.
Layout make_layout(std::span<const PageText> pages);

}  // namespace celeriac
