// Reading an invoice's fields from its laid-out text: labels, the values that stand right of
// or below them, and sums that must agree. Shared by the rule files; pure, no I/O.
#pragma once

#include "tasks/extraction/layout.hpp"
#include "tasks/extraction/values.hpp"
#include "tasks/extraction/vocabulary.hpp"

#include <vector>

namespace celeriac::rules {

// One label found on a page: tokens [first, last) of line `line`.
struct FoundLabel {
  Label label;
  float weight;
  std::size_t line, first, last;
};

// A run of tokens of one line.
struct Span {
  std::size_t line = 0, first = 0, last = 0;
};

// A document being read, and what its text as a whole tells.
struct Reading {
  const Layout& layout;
  std::vector<FoundLabel> labels;  // in reading order, not overlapping
  DateOrder date_order = DateOrder::day_first;
  char decimal_mark = 0;
  FieldSource source = FieldSource::text;

  const Line& line(const Span& s) const { return layout.lines[s.line]; }
};

Reading start_reading(const Layout& layout, FieldSource source);

// Tokens after the label up to the end of the line or the next label on it.
Span right_of(const Reading&, const FoundLabel&);
// The cells under the label, nearest first, while they follow each other closely.
std::vector<Span> below(const Reading&, const FoundLabel&, std::size_t most);

struct FoundAmount {
  Amount amount;
  Span span;
};
// Every amount in the span; percentages are none.
std::vector<FoundAmount> amounts_in(const Reading&, const Span&);

struct FoundDate {
  std::string iso;
  Span span;
};
// A date that begins within the first `reach` tokens of the span.
std::optional<FoundDate> date_in(const Reading&, const Span&, std::size_t reach);

// A field from what stands in `span`; `sureness` is lowered by the tokens' own confidence.
Field make_field(const Reading&, std::string value, const Span&, double sureness);

// Replaces `field` when the candidate is surer.
void offer(Field& field, Field candidate);

void read_identifiers(const Reading&, ExtractedInvoice&);  // number, order number, VAT ids, IBAN
void read_dates(const Reading&, ExtractedInvoice&);
void read_totals(const Reading&, ExtractedInvoice&);  // net, tax, gross, due, currency
void read_parties(const Reading&, ExtractedInvoice&);
void read_line_items(const Reading&, ExtractedInvoice&);
void classify(const Reading&, ExtractedInvoice&);  // last: clears what is no invoice's

}  // namespace celeriac::rules
