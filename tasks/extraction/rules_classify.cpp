// Whether the document is an invoice at all. Numbers of an order or a letter must never be
// booked, so for anything else the fields are cleared again.
#include "tasks/extraction/rules.hpp"

namespace celeriac::rules {

void classify(const Reading& reading, ExtractedInvoice& invoice) {
  bool invoice_word = false, credit_word = false;
  std::size_t seen = 0;
  for (const Line& line : reading.layout.lines) {
    const bool near_top = ++seen <= 25;
    for (std::size_t i = 0; i < line.tokens.size(); ++i) {
      const std::string& word = line.tokens[i].folded;
      invoice_word |= is_invoice_word(word);
      const bool opens = line.cell_begin(i) == i;
      if (near_top && opens && line.page == 1) {
        credit_word |= is_credit_note_word(word);
        if (i + 1 < line.tokens.size()) credit_word |= is_credit_note_word(word + line.tokens[i + 1].folded);
      }
    }
  }
  // A till receipt need not call itself one; its total does.
  const bool receipt =
      reading.source == FieldSource::ocr && invoice.total_amount.present() && invoice.invoice_date.present();
  if (invoice_word || credit_word || receipt) {
    invoice.type = credit_word ? DocumentType::credit_note : DocumentType::invoice;
    return;
  }
  invoice.type = DocumentType::other;
  for (const auto& [name, member] : header_fields()) invoice.*member = {};
  invoice.line_items.clear();
  invoice.warn("not_an_invoice", "nothing on the pages says that this is an invoice");
}

}  // namespace celeriac::rules
