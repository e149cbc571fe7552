// How far a whole document can be trusted.
#pragma once

#include "tasks/extraction/invoice.hpp"

namespace celeriac {

// Compares net + tax with the total, and the lines with the net. Agreement raises nothing
// (the rules did that already); disagreement lowers the sums' confidence and is reported.
void check_totals(ExtractedInvoice&);

// The mean confidence of the fields an invoice must have (number, date, total, seller 80 %)
// and of its lines (20 %); absent fields count as 0. 0 for a document that is no invoice.
double overall_confidence(const ExtractedInvoice&);

}  // namespace celeriac
