#include "tasks/validation/rules.hpp"

#include "tasks/validation/decimal.hpp"

#include <algorithm>

namespace celeriac {
namespace {

const Decimal cent("0.01");  // also the smallest amount a line may have
const Decimal largest_line("100000");

class Judge {
 public:
  explicit Judge(const InvoiceFacts& invoice) : invoice_(invoice) {}

  std::vector<Check> judge() && {
    required_fields();
    lines();
    sums();
    return std::move(checks_);
  }

 private:
  Check& add(std::string code, Severity severity, bool passed, std::string field, std::string message) {
    return checks_.emplace_back(Check{.rule_code = std::move(code),
                                      .severity = severity,
                                      .passed = passed,
                                      .field = std::move(field),
                                      .message = std::move(message)});
  }

  void require(std::string_view field, bool present, Severity severity) {
    const std::string name(field);
    add("MISSING_REQUIRED_FIELD", severity, present, name,
        present ? name + " is present" : name + " is missing");
  }

  void required_fields() {
    require("vendor_name", !invoice_.vendor_name.empty(), Severity::error);
    require("invoice_number", !invoice_.invoice_number.empty(), Severity::error);
    require("invoice_date", !invoice_.invoice_date.empty(), Severity::error);
    // A total of zero counts as none.
    const auto total = parse_decimal(invoice_.total_amount);
    require("total_amount", total && *total != 0, Severity::error);
    require("subtotal", !invoice_.subtotal.empty(), Severity::warning);
    if (!invoice_.currency.empty()) {
      const bool code = invoice_.currency.size() == 3 &&
                        std::ranges::all_of(invoice_.currency, [](char c) { return c >= 'A' && c <= 'Z'; });
      add("INVALID_FIELD_FORMAT", Severity::warning, code, "currency",
          code ? "the currency is a three-letter code" : "the currency is no three-letter code")
          .actual = invoice_.currency;
    }
    add("NO_LINE_ITEMS", Severity::error, !invoice_.lines.empty(), "line_items",
        invoice_.lines.empty() ? "the invoice has no lines" : "the invoice has lines")
        .actual = std::to_string(invoice_.lines.size());
  }

  Check& line_fault(const LineFacts& line, std::string code, Severity severity, std::string field,
                    std::string message) {
    Check& check = add(std::move(code), severity, false, std::move(field), std::move(message));
    check.line_number = line.number;
    return check;
  }

  void lines() {
    if (invoice_.lines.empty()) return;
    const auto before = checks_.size();
    bool multiplied = false;
    for (const auto& line : invoice_.lines) {
      if (line.description.empty()) {
        line_fault(line, "MISSING_REQUIRED_FIELD", Severity::error, "description",
                   "the line has no description");
      }
      const auto total = parse_decimal(line.line_total);
      if (!total) {
        line_fault(line, "MISSING_REQUIRED_FIELD", Severity::error, "line_total", "the line has no amount");
        continue;
      }
      amount(line, *total);
      multiplied = product(line, *total) || multiplied;
    }
    const auto failed = [&](std::string_view code) {
      return std::any_of(checks_.begin() + static_cast<std::ptrdiff_t>(before), checks_.end(),
                         [&](const Check& check) { return check.rule_code == code; });
    };
    const bool complete = !failed("MISSING_REQUIRED_FIELD"), sized = !failed("INVALID_AMOUNT"),
               exact = !failed("LINE_MATH_MISMATCH");
    if (complete) {
      add("MISSING_REQUIRED_FIELD", Severity::error, true, "line_items",
          "every line has a description and an amount");
    }
    if (sized) add("INVALID_AMOUNT", Severity::error, true, "line_items", "every line's amount is plausible");
    if (multiplied && exact) {
      add("LINE_MATH_MISMATCH", Severity::warning, true, "line_items",
          "quantity times price gives every amount");
    }
  }

  void amount(const LineFacts& line, const Decimal& total) {
    if (total < cent) {
      auto& check = line_fault(line, "INVALID_AMOUNT", Severity::error, "line_total",
                               "the line's amount is below 0.01");
      check.expected = "at least 0.01";
      check.actual = line.line_total;
    } else if (total > largest_line) {
      auto& check = line_fault(line, "INVALID_AMOUNT", Severity::warning, "line_total",
                               "the line's amount is unusually large");
      check.expected = "at most 100000";
      check.actual = line.line_total;
    }
  }

  // True when the line states quantity and price.
  bool product(const LineFacts& line, const Decimal& total) {
    const auto quantity = parse_decimal(line.quantity), price = parse_decimal(line.unit_price);
    if (!quantity || !price) return false;
    const Decimal expected = *quantity * *price;
    if (abs(expected - total) > cent) {
      auto& check = line_fault(line, "LINE_MATH_MISMATCH", Severity::warning, "line_total",
                               "quantity times price is not the line's amount");
      check.expected = to_text(expected);
      check.actual = line.line_total;
    }
    return true;
  }

  // Each line was rounded by itself, so their sum may be off by one cent for each.
  void sums() {
    std::optional<Decimal> lines_sum;
    for (const auto& line : invoice_.lines) {
      const auto total = parse_decimal(line.line_total);
      if (!total) {
        lines_sum.reset();
        break;
      }
      lines_sum = lines_sum.value_or(Decimal(0)) + *total;
    }
    const auto subtotal = parse_decimal(invoice_.subtotal), total = parse_decimal(invoice_.total_amount);
    const auto tax = parse_decimal(invoice_.tax_amount).value_or(Decimal(0));
    if (lines_sum && subtotal) {
      compare("SUBTOTAL_MISMATCH", "subtotal", *lines_sum, *subtotal,
              cent * static_cast<unsigned>(invoice_.lines.size()), "the sum of the lines");
    }
    if (total && (subtotal || lines_sum)) {
      compare("TOTAL_MISMATCH", "total_amount", (subtotal ? *subtotal : *lines_sum) + tax, *total, cent,
              subtotal ? "subtotal plus tax" : "the sum of the lines plus tax");
    }
  }

  void compare(std::string code, const std::string& field, const Decimal& expected, const Decimal& actual,
               const Decimal& tolerance, const std::string& what) {
    const bool same = abs(expected - actual) <= tolerance;
    auto& check = add(std::move(code), Severity::error, same, field,
                      field + (same ? " agrees with " : " differs from ") + what);
    check.expected = to_text(expected);
    check.actual = to_text(actual);
  }

  const InvoiceFacts& invoice_;
  std::vector<Check> checks_;
};

}  // namespace

std::string_view to_string(Severity severity) { return severity == Severity::error ? "error" : "warning"; }

std::vector<Check> check_invoice(const InvoiceFacts& invoice) { return Judge(invoice).judge(); }

}  // namespace celeriac
