#include "cli/table.hpp"

#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <cassert>
#include <cstdlib>

namespace celeriac {
namespace {

constexpr std::size_t gap = 2, narrowest = 8;

// Names come from brokers: control bytes would drive the terminal.
std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

// Code points, near enough to columns for names of queues and tasks.
std::size_t columns_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string fit(const std::string& text, std::size_t width, Table::Align align) {
  auto have = columns_of(text);
  if (have <= width) {
    std::string pad(width - have, ' ');
    return align == Table::Align::right ? pad + text : text + pad;
  }
  std::string out;
  std::size_t kept = 0;
  for (char c : text) {
    bool starts = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (starts && kept++ == width - 3) break;
    out += c;
  }
  return out + "...";
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  for (auto& cell : cells) cell = printable(std::move(cell));
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t width, bool bold_titles) const {
  std::vector<std::size_t> widths;
  for (const auto& column : columns_) widths.push_back(columns_of(column.title));
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));

  auto total = [&] {
    std::size_t sum = gap * (widths.size() - 1);
    for (auto w : widths) sum += w;
    return sum;
  };
  while (width > 0 && total() > width) {
    std::size_t widest = columns_.size();
    for (std::size_t i = 0; i < columns_.size(); ++i)
      if (columns_[i].align == Align::left && widths[i] > narrowest &&
          (widest == columns_.size() || widths[i] > widths[widest]))
        widest = i;
    if (widest == columns_.size()) break;
    widths[widest] = std::max(narrowest, widths[widest] - std::min(widths[widest], total() - width));
  }

  std::string out;
  auto line = [&](auto cell_at) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i)
      text += (i == 0 ? "" : std::string(gap, ' ')) + fit(cell_at(i), widths[i], columns_[i].align);
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  auto titles = line([&](std::size_t i) { return columns_[i].title; });
  out += (bold_titles ? "\x1b[1m" + titles + "\x1b[0m" : titles) + "\n";
  for (const auto& row : rows_) out += line([&](std::size_t i) { return row[i]; }) + "\n";
  return out;
}

std::size_t terminal_width() {
  winsize size{};
  if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

bool use_color(bool no_color_option) {
  const char* no_color = std::getenv("NO_COLOR");
  return !no_color_option && (no_color == nullptr || *no_color == '\0') && isatty(STDOUT_FILENO) != 0;
}

}  // namespace celeriac
