#include "tasks/validation/status.hpp"

#include <array>
#include <cstddef>

namespace celeriac {
namespace {

using enum InvoiceStatus;

constexpr std::array<std::string_view, 7> labels = {"RECEIVED", "PARSED", "VALIDATED", "EXCEPTION",
                                                    "READY",    "STAGED", "DONE"};

// Rows: from; columns: to; both in the order of the enumeration.
constexpr bool allowed[7][7] = {
    //             RECEIVED PARSED VALIDATED EXCEPTION READY STAGED DONE
    /* RECEIVED  */ {true, true, true, true, false, false, false},
    /* PARSED    */ {false, true, true, true, true, false, false},
    /* VALIDATED */ {false, true, true, true, true, true, false},
    /* EXCEPTION */ {false, true, true, true, true, false, false},
    /* READY     */ {false, true, true, true, true, true, false},
    /* STAGED    */ {false, false, false, true, false, true, true},
    /* DONE      */ {false, false, false, false, false, false, true},
};

}  // namespace

std::string_view to_string(InvoiceStatus status) { return labels[static_cast<std::size_t>(status)]; }

std::optional<InvoiceStatus> parse_invoice_status(std::string_view label) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == label) return static_cast<InvoiceStatus>(i);
  }
  return std::nullopt;
}

bool may_become(InvoiceStatus from, InvoiceStatus to) {
  return allowed[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
}

InvoiceStatus after_validation(InvoiceStatus from, bool passed) {
  if (from == staged || from == done) return from;
  const InvoiceStatus to = passed ? validated : exception;
  return may_become(from, to) ? to : from;
}

}  // namespace celeriac
