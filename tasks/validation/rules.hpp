// The rules an invoice is judged by. Pure: facts in, checks out.
//
// Rule codes and severities are those of the accounts-payable validator, version 2.0.0.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

inline constexpr std::string_view rules_version = "2.0.0";

// As stored; amounts in plain decimals, an empty string is an absent value.
struct LineFacts {
  int number = 0;
  std::string description, quantity, unit_price, line_total;
};

struct InvoiceFacts {
  std::string vendor_name, invoice_number, invoice_date, currency;
  std::string subtotal, tax_amount, total_amount;
  std::vector<LineFacts> lines;
};

enum class Severity { error, warning };
std::string_view to_string(Severity);

struct Check {
  std::string rule_code;
  Severity severity = Severity::error;
  bool passed = true;
  std::string field;
  int line_number = 0;           // 0: about the whole invoice
  std::string expected, actual;  // may be empty
  std::string message;
};

// Every rule that could be applied. A line rule that holds for all lines is one passed check.
std::vector<Check> check_invoice(const InvoiceFacts& invoice);

}  // namespace celeriac
