#include "tasks/validation/decimal.hpp"
#include "tasks/validation/rules.hpp"
#include "tasks/validation/status.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {

InvoiceFacts good() {
  return {.vendor_name = "Muster GmbH",
          .invoice_number = "R-1",
          .invoice_date = "2024-03-01",
          .currency = "EUR",
          .subtotal = "100.00",
          .tax_amount = "19.00",
          .total_amount = "119.00",
          .lines = {{1, "Bolts", "3", "20.00", "60.00"}, {2, "Nuts", "2.5", "16.00", "40.00"}}};
}

// "CODE/field CODE/field" of what failed, errors first marked with '!'.
std::string faults(const InvoiceFacts& facts) {
  std::string out;
  for (const auto& check : check_invoice(facts)) {
    if (check.passed) continue;
    if (!out.empty()) out += ' ';
    out += (check.severity == Severity::error ? "!" : "") + check.rule_code + "/" + check.field;
  }
  return out;
}

}  // namespace

TEST_CASE("decimals are exact") {
  CHECK(to_text(*parse_decimal("0.1") + *parse_decimal("0.2")) == "0.30");
  CHECK(to_text(*parse_decimal("99999999999999.999999") + *parse_decimal("0.000001")) ==
        "100000000000000.00");
  CHECK(to_text(*parse_decimal("3.3333") * *parse_decimal("3")) == "9.9999");
  CHECK(to_text(*parse_decimal("-0.005")) == "-0.005");
  CHECK(to_text(*parse_decimal("99999999999999.999999") * *parse_decimal("99999999999999.999999")) ==
        "9999999999999999999800000000.000000000001");
  CHECK_FALSE(parse_decimal("1e5").has_value());
  CHECK_FALSE(parse_decimal("").has_value());
}

TEST_CASE("an invoice that adds up has no faults, and every rule is on record") {
  CHECK(faults(good()) == "");
  std::string codes;
  for (const auto& check : check_invoice(good())) codes += check.rule_code + " ";
  for (const char* code : {"MISSING_REQUIRED_FIELD", "NO_LINE_ITEMS", "INVALID_AMOUNT", "LINE_MATH_MISMATCH",
                           "SUBTOTAL_MISMATCH", "TOTAL_MISMATCH", "INVALID_FIELD_FORMAT"}) {
    CAPTURE(code);
    CHECK(codes.find(code) != std::string::npos);
  }
}

TEST_CASE("the sum of the lines may differ by one cent a line, not by more") {
  auto facts = good();
  facts.subtotal = "100.02";
  facts.total_amount = "119.02";
  CHECK(faults(facts) == "");
  facts.subtotal = "100.03";
  facts.total_amount = "119.03";
  CHECK(faults(facts) == "!SUBTOTAL_MISMATCH/subtotal");
  facts.subtotal = "100.020001";
  facts.total_amount = "119.02";
  CHECK(faults(facts) == "!SUBTOTAL_MISMATCH/subtotal");
}

TEST_CASE("the total may differ by one cent") {
  auto facts = good();
  facts.total_amount = "119.01";
  CHECK(faults(facts) == "");
  facts.total_amount = "118.98";
  CHECK(faults(facts) == "!TOTAL_MISMATCH/total_amount");
  const auto checks = check_invoice(facts);
  CHECK(checks.back().expected == "119.00");
  CHECK(checks.back().actual == "118.98");
}

TEST_CASE("without a subtotal the lines take its place") {
  auto facts = good();
  facts.subtotal = "";
  CHECK(faults(facts) == "MISSING_REQUIRED_FIELD/subtotal");
  facts.total_amount = "120.00";
  CHECK(faults(facts) == "MISSING_REQUIRED_FIELD/subtotal !TOTAL_MISMATCH/total_amount");
  facts.lines.clear();  // a receipt: a total and nothing to compare it with
  CHECK(faults(facts) == "MISSING_REQUIRED_FIELD/subtotal !NO_LINE_ITEMS/line_items");
}

TEST_CASE("what is required is missed") {
  CHECK(faults({}) ==
        "!MISSING_REQUIRED_FIELD/vendor_name !MISSING_REQUIRED_FIELD/invoice_number"
        " !MISSING_REQUIRED_FIELD/invoice_date !MISSING_REQUIRED_FIELD/total_amount"
        " MISSING_REQUIRED_FIELD/subtotal !NO_LINE_ITEMS/line_items");
  auto facts = good();
  facts.total_amount = "0.00";
  CHECK(faults(facts) == "!MISSING_REQUIRED_FIELD/total_amount !TOTAL_MISMATCH/total_amount");
  facts = good();
  facts.lines[1].description = "";
  CHECK(faults(facts) == "!MISSING_REQUIRED_FIELD/description");
  facts = good();
  facts.lines[1].line_total = "";
  CHECK(faults(facts) == "!MISSING_REQUIRED_FIELD/line_total");
}

TEST_CASE("line amounts are plausible and multiply") {
  auto facts = good();
  facts.lines[0] = {1, "Bolts", "3", "20.01", "60.00"};
  CHECK(faults(facts) == "LINE_MATH_MISMATCH/line_total");
  facts.lines[0] = {1, "Bolts", "3", "20.003333", "60.00"};
  CHECK(faults(facts) == "");
  facts = good();
  facts.lines.push_back({3, "Gift", "", "", "0.00"});
  CHECK(faults(facts) == "!INVALID_AMOUNT/line_total");
  facts.lines[2].line_total = "100000.01";
  CHECK(faults(facts).starts_with("INVALID_AMOUNT/line_total"));
}

TEST_CASE("states have labels and ways") {
  using enum InvoiceStatus;
  for (const auto status : {received, parsed, validated, exception, ready, staged, done}) {
    CHECK(parse_invoice_status(to_string(status)) == status);
    CHECK(may_become(status, status));
    CHECK_FALSE((status != received && may_become(status, received)));
  }
  CHECK_FALSE(parse_invoice_status("received").has_value());
  CHECK(may_become(ready, staged));
  CHECK(may_become(staged, done));
  CHECK_FALSE(may_become(parsed, staged));
  CHECK_FALSE(may_become(done, exception));
  CHECK(after_validation(parsed, true) == validated);
  CHECK(after_validation(parsed, false) == exception);
  CHECK(after_validation(exception, true) == validated);
  CHECK(after_validation(ready, false) == exception);
  CHECK(after_validation(staged, false) == staged);
  CHECK(after_validation(done, true) == done);
}
