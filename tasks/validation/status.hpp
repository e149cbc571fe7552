// The states of an invoice and the ways between them.
#pragma once

#include <optional>
#include <string_view>

namespace celeriac {

enum class InvoiceStatus { received, parsed, validated, exception, ready, staged, done };

std::string_view to_string(InvoiceStatus);  // the database's label: "PARSED"
std::optional<InvoiceStatus> parse_invoice_status(std::string_view label);

// Whether an invoice may go from one state to another; staying is always allowed.
bool may_become(InvoiceStatus from, InvoiceStatus to);

// Where a first verdict on its data takes an invoice. One that was handed on (staged, done)
// stays there: the verdict is recorded, not acted upon.
InvoiceStatus after_validation(InvoiceStatus from, bool passed);

}  // namespace celeriac
