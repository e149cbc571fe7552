// Line items, by the columns of the table they stand in.
#include "tasks/extraction/rules.hpp"
#include "tasks/extraction/text.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace celeriac::rules {
namespace {

struct TableColumn {
  Column kind;
  float x0, x1;
};

struct Table {
  std::vector<TableColumn> columns;
  std::size_t first_line = 0;  // below the heading
  int page = 1;

  const TableColumn* find(Column kind) const {
    for (const TableColumn& c : columns)
      if (c.kind == kind) return &c;
    return nullptr;
  }
};

// Headings may spread over a few lines; the line with the most of them is the main one.
std::vector<TableColumn> headings_on(const Line& line) {
  std::vector<TableColumn> out;
  for (std::size_t i = 0; i < line.tokens.size();) {
    if (auto match = match_column(line, i)) {
      const Box box = line.span_box(i, i + match->tokens);
      const auto known = std::ranges::find(out, match->column, &TableColumn::kind);
      if (known == out.end())
        out.push_back({match->column, box.x0, box.x1});
      else if (match->column == Column::line_total)
        *known = {match->column, box.x0, box.x1};  // of two, the right one is the row's sum
      i += match->tokens;
    } else {
      ++i;
    }
  }
  return out;
}

bool is_table_heading(const std::vector<TableColumn>& columns) {
  const auto has = [&](Column kind) {
    return std::ranges::find(columns, kind, &TableColumn::kind) != columns.end();
  };
  if (has(Column::ignored)) return false;
  const int numbers = has(Column::quantity) + has(Column::unit_price) + has(Column::line_total);
  return columns.size() >= 3 ? numbers >= 2 || (numbers >= 1 && has(Column::description))
                             : has(Column::description) && has(Column::line_total);
}

std::vector<Table> find_tables(const Reading& reading) {
  std::vector<Table> out;
  const auto& lines = reading.layout.lines;
  for (std::size_t l = 0; l < lines.size(); ++l) {
    auto columns = headings_on(lines[l]);
    if (!is_table_heading(columns)) continue;
    Table table{std::move(columns), l + 1, lines[l].page};
    // Words of the heading just above and below add the columns that are still missing.
    const float height = lines[l].box.y1 - lines[l].box.y0;
    for (std::size_t k = l >= 2 ? l - 2 : 0; k < std::min(lines.size(), l + 3); ++k) {
      if (k == l || lines[k].page != table.page ||
          std::abs(lines[k].box.y0 - lines[l].box.y0) > 2.6f * height)
        continue;
      const bool numbers = std::ranges::any_of(lines[k].tokens, [&](const Token& t) {
        return std::isdigit(static_cast<unsigned char>(t.text.front())) != 0;
      });
      if (numbers) continue;
      for (const TableColumn& c : headings_on(lines[k]))
        if (!table.find(c.kind) && c.kind != Column::ignored &&
            std::ranges::none_of(table.columns,
                                 [&](const TableColumn& t) { return c.x0 < t.x1 && c.x1 > t.x0; }))
          table.columns.push_back(c);
    }
    std::ranges::sort(table.columns, {}, &TableColumn::x0);
    out.push_back(std::move(table));
  }
  return out;
}

// The column a cell belongs to: the one it overlaps, else the nearest. Numbers are mostly set
// flush right and texts flush left, so either edge may be the one that fits.
const TableColumn* column_of(const Table& table, const Box& box, bool number) {
  const TableColumn* best = nullptr;
  float best_distance = 1e9f;
  for (const TableColumn& c : table.columns) {
    if (number && (c.kind == Column::description || c.kind == Column::article)) continue;
    const float overlap = std::min(box.x1, c.x1) - std::max(box.x0, c.x0);
    float distance = overlap > 0 ? -overlap
                                 : std::min({std::abs(box.x0 - c.x0), std::abs(box.x1 - c.x1),
                                             std::max(c.x0 - box.x1, box.x0 - c.x1)});
    if (distance < best_distance) best_distance = distance, best = &c;
  }
  return best_distance < 60 ? best : nullptr;
}

// The end of the items: sums, payment terms, tax breakdown.
bool ends_table(const Reading& reading, std::size_t l) {
  const Line& line = reading.layout.lines[l];
  for (const FoundLabel& label : reading.labels) {
    if (label.line != l || line.cell_begin(label.first) != label.first) continue;
    const bool sum = label.label == Label::net || label.label == Label::gross ||
                     label.label == Label::amount_due || label.label == Label::tax;
    if (sum && label.weight >= 0.6f &&
        (!amounts_in(reading, right_of(reading, label)).empty() || label.weight >= 1))
      return true;
  }
  static constexpr std::string_view ends[] = {"zahlungsbedingungen",   "umsatzsteueraufschlusselung",
                                              "steueraufschlusselung", "belegsummen",
                                              "zuundabschlage",        "zahlungsart",
                                              "paymentterms",          "rechnungsrabatt",
                                              "umsatzsteuersatze"};
  const std::string folded = fold(line.text());
  return std::ranges::any_of(ends, [&](std::string_view e) { return folded.starts_with(e); });
}

class RowReader {
 public:
  RowReader(const Reading& reading, const Table& table) : reading_(reading), table_(table) {}

  void read(std::vector<LineItem>& items) {
    const auto& lines = reading_.layout.lines;
    for (std::size_t l = table_.first_line; l < lines.size(); ++l) {
      if (ends_table(reading_, l)) break;
      if (l > table_.first_line && lines[l].page != lines[l - 1].page) {
        // The table goes on overleaf, without its heading; a page's foot is no part of a row.
        if (open_) open_->closed = true;
        pending_text_ = {};
      }
      if (is_table_heading(headings_on(lines[l]))) break;
      constexpr std::size_t most_items = 2000;
      if (items.size() >= most_items) break;
      take(l, items);
    }
    finish(items);
  }

 private:
  struct Row {
    LineItem item;
    float last_y = 0;
    int extra_lines = 0;
    bool closed = false;  // notes began: the description is complete
  };

  void take(std::size_t l, std::vector<LineItem>& items) {
    const Line& line = reading_.layout.lines[l];
    LineItem found;
    std::string text;
    Span text_span;
    bool note = false;
    read_cells(l, found, text, text_span, note);
    const int numbers = found.quantity.present() + found.unit_price.present() + found.line_total.present();
    const bool adjustment = !text.empty() && note_start(text);
    const bool starts = (numbers >= 2 && !adjustment) || (found.line_total.present() && !text.empty() &&
                                                          (!open_ || open_->item.line_total.present()));
    if (starts && (!note || found.line_total.present())) {
      const bool pending =
          pending_text_.present() && line.box.y0 - pending_y_ < 1.2f * (line.box.y1 - line.box.y0);
      finish(items);
      open_ = Row{std::move(found), line.box.y1, 0, false};
      if (!text.empty())
        open_->item.description = make_field(reading_, text, text_span, 0.8);
      else if (pending)
        open_->item.description = pending_text_;
      pending_text_ = {};
      return;
    }
    if (!open_) {
      if (!text.empty() && !note)
        pending_text_ = make_field(reading_, text, text_span, 0.6), pending_y_ = line.box.y1;
      return;
    }
    if (found.line_total.present() && !open_->item.line_total.present())
      open_->item.line_total = found.line_total;
    const float gap = line.box.y0 - open_->last_y, height = line.box.y1 - line.box.y0;
    if (note || gap > 1.0f * height || ++open_->extra_lines > 3) open_->closed = true;
    if (!text.empty() && !open_->closed) {
      std::string& description = open_->item.description.value;
      if (description.empty())
        open_->item.description = make_field(reading_, text, text_span, 0.7);
      else if (description.size() + text.size() < 300)
        description += " " + text;
    }
    open_->last_y = line.box.y1;
  }

  // "Bruttopreis : 4,00  Abschlag : 0,67" explains a row; it is none.
  static bool note_start(std::string_view text) {
    static constexpr std::string_view starts[] = {"bruttopreis", "artikelrabatt", "abschlag",
                                                  "zuschlag",    "rabatt",        "grossprice",
                                                  "discount",    "getline",       "artikelgesamtrabatt"};
    const std::string folded = fold(text);
    return std::ranges::any_of(starts, [&](std::string_view s) { return folded.starts_with(s); });
  }

  void read_cells(std::size_t l, LineItem& found, std::string& text, Span& text_span, bool& note) {
    const Line& line = reading_.layout.lines[l];
    const TableColumn* description = table_.find(Column::description);
    for (std::size_t i = 0; i < line.tokens.size();) {
      // A number makes a cell of its own even when little space parts it from its unit.
      std::size_t end = i + 1;
      const bool currency_first = end < line.tokens.size() && parse_currency(line.tokens[i].text).has_value();
      if (currency_first) ++end;
      auto amount = parse_amount(trim_value(line.text(i, end)), reading_.decimal_mark);
      const bool percent = line.tokens[i].text.ends_with('%') ||
                           (end < line.tokens.size() && line.tokens[end].text.starts_with('%'));
      const Box box = line.span_box(i, end);
      if (percent && std::isdigit(static_cast<unsigned char>(line.tokens[i].text.front()))) {
        std::string rate = line.tokens[i].text;
        std::erase(rate, '%');
        if (auto value = parse_amount(rate, ','); value && table_.find(Column::tax_rate))
          found.tax_rate = make_field(reading_, value->value, {l, i, end}, 0.8);
        i = end + (end < line.tokens.size() && line.tokens[end].text.starts_with('%'));
        continue;
      }
      const TableColumn* column = amount ? column_of(table_, box, true) : nullptr;
      const bool inside_text = amount && description && !line.tokens[i].starts_cell && i > 0 &&
                               box.x1 < next_column_after(*description);
      if (amount && column && !inside_text) {
        put_number(*column, *amount, {l, i, end}, found);
        i = end;
        if (column->kind == Column::quantity && i < line.tokens.size() && !line.tokens[i].folded.empty() &&
            !std::isdigit(static_cast<unsigned char>(line.tokens[i].text.front())) &&
            !line.tokens[i].starts_cell) {
          found.unit = make_field(reading_, line.tokens[i].text, {l, i, i + 1}, 0.7);
          ++i;
        }
        if (i < line.tokens.size() && parse_currency(line.tokens[i].text)) ++i;
        continue;
      }
      const std::size_t cell = std::max(end, line.cell_end(i));
      take_text(l, i, cell, found, text, text_span, note);
      i = cell_text_end_;
    }
  }

  // Words up to the next number column belong to the text cell.
  void take_text(std::size_t l, std::size_t from, std::size_t to, LineItem& found, std::string& text,
                 Span& span, bool& note) {
    const Line& line = reading_.layout.lines[l];
    std::size_t end = from + 1;
    const TableColumn* description = table_.find(Column::description);
    while (end < to) {
      const bool number = parse_amount(line.tokens[end].text, reading_.decimal_mark).has_value();
      if (number && (!description || line.tokens[end].box.x1 > next_column_after(*description))) break;
      ++end;
    }
    cell_text_end_ = end;
    const Box box = line.span_box(from, end);
    const TableColumn* column = column_of(table_, box, false);
    if (!column) return;
    if (column->kind == Column::unit) {
      found.unit = make_field(reading_, line.text(from, end), {l, from, end}, 0.7);
    } else if (column->kind == Column::description) {
      const std::string part = line.text(from, end);
      // A free note runs across the columns or names something with a colon.
      note |= part.find(" : ") != std::string::npos ||
              (part.find(": ") != std::string::npos && text.empty() && open_) || box.x1 > number_edge() + 10;
      text += (text.empty() ? "" : " ") + part;
      if (span.last == span.first) span = {l, from, end};
    }
  }

  void put_number(const TableColumn& column, const Amount& amount, const Span& span, LineItem& found) {
    Field* target = column.kind == Column::quantity     ? &found.quantity
                    : column.kind == Column::unit_price ? &found.unit_price
                    : column.kind == Column::line_total ? &found.line_total
                    : column.kind == Column::tax_rate   ? &found.tax_rate
                                                        : nullptr;
    if (target && !target->present()) *target = make_field(reading_, amount.value, span, 0.85);
  }

  float next_column_after(const TableColumn& column) const {
    float next = 1e6f;
    for (const TableColumn& c : table_.columns)
      if (c.x0 > column.x1) next = std::min(next, c.x0);
    return next;
  }
  float number_edge() const {
    const TableColumn* description = table_.find(Column::description);
    return description ? next_column_after(*description) : 1e6f;
  }

  void finish(std::vector<LineItem>& items) {
    if (!open_) return;
    LineItem& item = open_->item;
    const bool enough = item.line_total.present() || (item.unit_price.present() && item.quantity.present());
    if (enough && (item.description.present() || item.quantity.present())) {
      agree(item);
      items.push_back(std::move(item));
    }
    open_.reset();
  }

  // quantity x price = total makes all three surer; a contradiction makes them doubtful.
  static void agree(LineItem& item) {
    if (!item.quantity.present() || !item.unit_price.present() || !item.line_total.present()) return;
    const double product = std::strtod(item.quantity.value.c_str(), nullptr) *
                           std::strtod(item.unit_price.value.c_str(), nullptr);
    const double total = std::strtod(item.line_total.value.c_str(), nullptr);
    const double factor = std::abs(product - total) <= 0.011 + 0.001 * std::abs(total) ? 1.12 : 0.8;
    for (Field* field : {&item.quantity, &item.unit_price, &item.line_total})
      field->confidence = std::min(0.97, field->confidence * factor);
  }

  const Reading& reading_;
  const Table& table_;
  std::optional<Row> open_;
  Field pending_text_;
  float pending_y_ = 0;
  std::size_t cell_text_end_ = 0;
};

}  // namespace

void read_line_items(const Reading& reading, ExtractedInvoice& invoice) {
  std::size_t below = 0;
  for (const Table& table : find_tables(reading)) {
    if (table.first_line < below) continue;
    below = table.first_line;
    RowReader(reading, table).read(invoice.line_items);
  }
}

}  // namespace celeriac::rules
