// The words invoices use for their fields, in the languages we read. Data, not rules: a new
// language is a few lines in vocabulary.cpp.
#pragma once

#include "tasks/extraction/layout.hpp"

#include <optional>

namespace celeriac {

enum class Label {
  invoice_number,
  invoice_date,
  due_date,
  delivery_date,
  currency,
  vat_id,  // whose is told by where it stands
  buyer_vat_id,
  po_number,
  iban,
  net,
  tax,
  gross,
  amount_due,
  seller,
  buyer,
  other_party,
  name,
  ignored,  // must not be read as something else: "customer number", "total allowances"
};

struct LabelMatch {
  Label label;
  float weight;        // 0..1: how surely the words mean the field
  std::size_t tokens;  // how many tokens the label takes, signs after it included
};

// The longest label that starts at token `at` and stays within one cell.
std::optional<LabelMatch> match_label(const Line& line, std::size_t at);

enum class Column {
  position,
  article,
  description,
  quantity,
  unit,
  unit_price,
  tax_rate,
  discount,
  line_total,
  ignored
};

// The longest column heading that starts at token `at`.
struct ColumnMatch {
  Column column;
  std::size_t tokens;
};
std::optional<ColumnMatch> match_column(const Line& line, std::size_t at);

bool is_invoice_word(std::string_view folded);
bool is_credit_note_word(std::string_view folded);
bool is_order_word(std::string_view folded);     // before a number: the number is not the invoice's
bool is_company_suffix(std::string_view token);  // "GmbH", "Ltd.", as written

}  // namespace celeriac
