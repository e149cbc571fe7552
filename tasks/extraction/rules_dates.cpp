// Invoice, due and delivery dates.
#include "tasks/extraction/rules.hpp"

#include <algorithm>
#include <array>

namespace celeriac::rules {
namespace {

Field* target_of(Label label, ExtractedInvoice& invoice) {
  if (label == Label::invoice_date) return &invoice.invoice_date;
  if (label == Label::due_date) return &invoice.due_date;
  if (label == Label::delivery_date) return &invoice.delivery_date;
  return nullptr;
}

// "... Nr. 4711 vom 05.03.2018": a date that follows the number, perhaps on the next line.
void read_date_after_number(const Reading& reading, ExtractedInvoice& invoice) {
  static constexpr std::array<std::string_view, 9> links{"vom", "von", "dated", "of", "du",
                                                         "del", "van", "de",    "am"};
  if (!invoice.invoice_number.present() || !invoice.invoice_number.box) return;
  const auto& lines = reading.layout.lines;
  for (std::size_t l = 0; l < lines.size(); ++l) {
    const Line& line = lines[l];
    if (line.page != invoice.invoice_number.page) continue;
    for (std::size_t i = 0; i < line.tokens.size(); ++i) {
      if (line.tokens[i].box.x0 != invoice.invoice_number.box->x0 ||
          line.tokens[i].box.y0 != invoice.invoice_number.box->y0)
        continue;
      const bool last = i + 1 == line.tokens.size();
      if (last && (l + 1 == lines.size() || lines[l + 1].tokens.size() < 2)) return;
      const Line& next = last ? lines[l + 1] : line;
      const std::size_t link = last ? 0 : i + 1;
      if (std::ranges::find(links, next.tokens[link].folded) == links.end()) return;
      if (auto date = date_in(reading, {last ? l + 1 : l, link + 1, next.tokens.size()}, 1))
        offer(invoice.invoice_date, make_field(reading, date->iso, date->span, 0.96));
      else if (!last && i + 2 == line.tokens.size() && l + 1 < lines.size())
        if (auto below = date_in(reading, {l + 1, 0, lines[l + 1].tokens.size()}, 1))
          offer(invoice.invoice_date, make_field(reading, below->iso, below->span, 0.9));
      return;
    }
  }
}

// Receipts print a bare date; the first one near the top is it.
void read_unlabelled_date(const Reading& reading, ExtractedInvoice& invoice) {
  const auto& lines = reading.layout.lines;
  for (std::size_t l = 0; l < lines.size() && lines[l].page == 1; ++l) {
    auto date = date_in(reading, {l, 0, lines[l].tokens.size()}, lines[l].tokens.size());
    if (!date) continue;
    if (invoice.due_date.present() && date->iso == invoice.due_date.value) continue;
    if (invoice.delivery_date.present() && date->iso == invoice.delivery_date.value) continue;
    invoice.invoice_date = make_field(reading, date->iso, date->span, 0.55);
    return;
  }
}

}  // namespace

void read_dates(const Reading& reading, ExtractedInvoice& invoice) {
  read_date_after_number(reading, invoice);
  for (const FoundLabel& label : reading.labels) {
    Field* target = target_of(label.label, invoice);
    if (!target) continue;
    const Span right = right_of(reading, label);
    if (auto date = date_in(reading, right, label.label == Label::due_date ? 3 : 2)) {
      offer(*target, make_field(reading, date->iso, date->span, 0.97 * label.weight));
      continue;
    }
    for (const Span& span : below(reading, label, 3))
      if (auto date = date_in(reading, span, 2)) {
        offer(*target, make_field(reading, date->iso, date->span, 0.85 * label.weight));
        break;
      }
  }
  if (!invoice.invoice_date.present()) read_unlabelled_date(reading, invoice);
}

}  // namespace celeriac::rules
