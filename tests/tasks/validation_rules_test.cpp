// Every rule: what passes, what fails, and the edge between them.
#include "tasks/validation/rules.hpp"
#include "tasks/validation/rules_table.hpp"
#include "tasks/validation/status.hpp"
#include "tasks/validation/taxonomy.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>

using namespace celeriac;

namespace {

InvoiceFacts good() {
  InvoiceFacts facts;
  facts.vendor_name = "Muster GmbH";
  facts.invoice_number = "R-1";
  facts.invoice_date = "2024-03-01";
  facts.currency = "EUR";
  facts.subtotal = "100.00";
  facts.tax_amount = "19.00";
  facts.total_amount = "119.00";
  facts.lines = {{1, "Bolts", "3", "20.00", "60.00", "B-1", "19"},
                 {2, "Nuts", "2.5", "16.00", "40.00", "N-1", "19"}};
  facts.due_date = "2024-03-31";
  facts.confidence = "0.95";
  facts.age_days = 2;
  facts.due_days = 30;
  facts.vendors_known = true;
  facts.vendor =
      VendorFacts{"v1", "Muster GmbH", "DE 123-456", "EUR", true, 30, "1000.00", "500.00", "881.00"};
  facts.vendor_tax_id = "de123456";
  facts.po_number = "PO-7";
  facts.order = OrderFacts{"o1",
                           "PO-7",
                           "v1",
                           "EUR",
                           "119.00",
                           "SENT",
                           {{"B-1", "", "3", ""}, {"", "nuts", "2.5", ""}},
                           1,
                           {{"B-1", "", "3", ""}}};
  return facts;
}

struct Case {
  const char* rule;
  const char* what;
  std::function<void(InvoiceFacts&)> change;
  const char* expect;  // "pass", "fail", or "none": the rule does not apply
};

TwinFacts twin(bool number, bool total, bool date, int days) {
  return {"t1", "R-1", "119.00", "2024-03-01", number, total, date, days};
}

const std::vector<Case>& cases() {
  using F = InvoiceFacts;
  static const std::vector<Case> table = {
      {"vendor_name", "empty", [](F& f) { f.vendor_name = ""; }, "fail"},
      {"invoice_number", "empty", [](F& f) { f.invoice_number = ""; }, "fail"},
      {"invoice_date", "empty", [](F& f) { f.invoice_date = ""; }, "fail"},
      {"total_amount", "empty", [](F& f) { f.total_amount = ""; }, "fail"},
      {"total_amount", "zero counts as none", [](F& f) { f.total_amount = "0.00"; }, "fail"},
      {"total_amount", "a cent is an amount", [](F& f) { f.total_amount = "0.01"; }, "pass"},
      {"subtotal", "empty", [](F& f) { f.subtotal = ""; }, "fail"},
      {"number_form", "punctuation only", [](F& f) { f.invoice_number = "-/-"; }, "fail"},
      {"number_form", "one digit", [](F& f) { f.invoice_number = "-7-"; }, "pass"},
      {"number_form", "absent", [](F& f) { f.invoice_number = ""; }, "none"},
      {"currency_code", "symbol", [](F& f) { f.currency = "EU"; }, "fail"},
      {"currency_code", "lower case", [](F& f) { f.currency = "eur"; }, "fail"},
      {"currency_code", "absent", [](F& f) { f.currency = ""; }, "none"},
      {"has_lines", "none", [](F& f) { f.lines.clear(); }, "fail"},
      {"line_count", "hundred", [](F& f) { f.lines.resize(100); }, "pass"},
      {"line_count", "hundred and one", [](F& f) { f.lines.resize(101); }, "fail"},
      {"line_fields", "no description", [](F& f) { f.lines[1].description = ""; }, "fail"},
      {"line_fields", "no amount", [](F& f) { f.lines[1].line_total = ""; }, "fail"},
      {"line_fields", "no lines", [](F& f) { f.lines.clear(); }, "none"},
      {"confidence", "at the limit", [](F& f) { f.confidence = "0.85"; }, "pass"},
      {"confidence", "below", [](F& f) { f.confidence = "0.84"; }, "fail"},
      {"confidence", "not read by a machine", [](F& f) { f.confidence = ""; }, "none"},
      {"dated_ahead", "tomorrow is a time zone", [](F& f) { f.age_days = -1; }, "pass"},
      {"dated_ahead", "two days", [](F& f) { f.age_days = -2; }, "fail"},
      {"dated_ahead", "no date", [](F& f) { f.age_days.reset(); }, "none"},
      {"age", "a year", [](F& f) { f.age_days = 365; }, "pass"},
      {"age", "a day more", [](F& f) { f.age_days = 366; }, "fail"},
      {"due_after_date", "the same day", [](F& f) { f.due_days = 0; }, "pass"},
      {"due_after_date", "the day before", [](F& f) { f.due_days = -1; }, "fail"},
      {"due_after_date", "no due date", [](F& f) { f.due_days.reset(); }, "none"},
      {"line_minimum", "a cent", [](F& f) { f.lines[0].line_total = "0.01"; }, "pass"},
      {"line_minimum", "less", [](F& f) { f.lines[0].line_total = "0.009"; }, "fail"},
      {"line_minimum", "a credit note's sign does not count",
       [](F& f) { f.credit_note = true, f.lines[0].line_total = "-60.00"; }, "pass"},
      {"line_maximum", "at the limit", [](F& f) { f.lines[0].line_total = "100000"; }, "pass"},
      {"line_maximum", "above", [](F& f) { f.lines[0].line_total = "100000.01"; }, "fail"},
      {"total_maximum", "at the limit", [](F& f) { f.total_amount = "1000000.00"; }, "pass"},
      {"total_maximum", "above", [](F& f) { f.total_amount = "1000000.01"; }, "fail"},
      {"line_product", "a cent off", [](F& f) { f.lines[0].line_total = "60.01"; }, "pass"},
      {"line_product", "more than a cent", [](F& f) { f.lines[0].line_total = "60.010001"; }, "fail"},
      {"line_product", "with a discount",
       [](F& f) { f.lines[0].discount = "0.5", f.lines[0].line_total = "30.00"; }, "pass"},
      {"line_product", "no quantities", [](F& f) { f.lines[0].quantity = f.lines[1].quantity = ""; }, "none"},
      {"subtotal_sum", "a cent a line", [](F& f) { f.subtotal = "100.02"; }, "pass"},
      {"subtotal_sum", "more", [](F& f) { f.subtotal = "100.020001"; }, "fail"},
      {"subtotal_sum", "a line without amount", [](F& f) { f.lines[0].line_total = ""; }, "none"},
      {"total_sum", "a cent", [](F& f) { f.total_amount = "119.01"; }, "pass"},
      {"total_sum", "two cents", [](F& f) { f.total_amount = "118.98"; }, "fail"},
      {"total_sum", "freight counts", [](F& f) { f.freight = "5.00", f.total_amount = "124.00"; }, "pass"},
      {"total_sum", "lines take the subtotal's place", [](F& f) { f.subtotal = ""; }, "pass"},
      {"total_sum", "lines take the subtotal's place and differ",
       [](F& f) { f.subtotal = "", f.total_amount = "120"; }, "fail"},
      {"total_sum", "a receipt without lines", [](F& f) { f.subtotal = "", f.lines.clear(); }, "none"},
      {"total_sum", "a credit note with mixed signs",
       [](F& f) { f.credit_note = true, f.total_amount = "-119.00"; }, "pass"},
      {"tax_rate_range", "thirty", [](F& f) { f.lines[0].tax_rate = "30"; }, "pass"},
      {"tax_rate_range", "above", [](F& f) { f.lines[0].tax_rate = "30.01"; }, "fail"},
      {"tax_rate_range", "negative", [](F& f) { f.lines[0].tax_rate = "-1"; }, "fail"},
      {"tax_rate_range", "the header's fraction", [](F& f) { f.tax_rate = "0.31"; }, "fail"},
      {"tax_by_rate", "two rates", [](F& f) { f.lines[1].tax_rate = "7", f.tax_amount = "14.20"; }, "pass"},
      {"tax_by_rate", "a cent a line", [](F& f) { f.tax_amount = "19.02"; }, "pass"},
      {"tax_by_rate", "more", [](F& f) { f.tax_amount = "19.03"; }, "fail"},
      {"tax_by_rate", "by the header", [](F& f) { f.lines[0].tax_rate = "", f.tax_rate = "0.1900"; }, "pass"},
      {"tax_by_rate", "by the header, wrong", [](F& f) { f.lines[0].tax_rate = "", f.tax_rate = "0.0700"; },
       "fail"},
      {"tax_by_rate", "no rate at all", [](F& f) { f.lines[0].tax_rate = ""; }, "none"},
      {"vendor_known", "unknown", [](F& f) { f.vendor.reset(); }, "fail"},
      {"vendor_known", "no vendors kept here", [](F& f) { f.vendor.reset(), f.vendors_known = false; },
       "none"},
      {"vendor_active", "inactive", [](F& f) { f.vendor->active = false; }, "fail"},
      {"vendor_currency", "another", [](F& f) { f.currency = "USD"; }, "fail"},
      {"vendor_currency", "absent", [](F& f) { f.currency = ""; }, "none"},
      {"vendor_tax_id", "another", [](F& f) { f.vendor_tax_id = "DE123457"; }, "fail"},
      {"vendor_tax_id", "not stated", [](F& f) { f.vendor_tax_id = ""; }, "none"},
      {"vendor_spend", "to the last cent", [](F& f) { f.vendor->spend = "881.00"; }, "pass"},
      {"vendor_spend", "a cent more", [](F& f) { f.vendor->spend = "881.01"; }, "fail"},
      {"vendor_spend", "no limit", [](F& f) { f.vendor->credit_limit = ""; }, "none"},
      {"vendor_maximum", "at the limit", [](F& f) { f.vendor->max_invoice_amount = "119.00"; }, "pass"},
      {"vendor_maximum", "above", [](F& f) { f.vendor->max_invoice_amount = "118.99"; }, "fail"},
      {"payment_terms", "a day early", [](F& f) { f.due_days = 29; }, "fail"},
      {"payment_terms", "later", [](F& f) { f.due_days = 60; }, "pass"},
      {"order_found", "unknown", [](F& f) { f.order.reset(); }, "fail"},
      {"order_found", "none stated", [](F& f) { f.order.reset(), f.po_number = ""; }, "none"},
      {"order_fits", "another vendor's", [](F& f) { f.order->vendor_id = "v2"; }, "fail"},
      {"order_fits", "closed", [](F& f) { f.order->status = "CLOSED"; }, "fail"},
      {"order_fits", "another currency", [](F& f) { f.order->currency = "USD"; }, "fail"},
      {"order_fits", "received", [](F& f) { f.order->status = "RECEIVED"; }, "pass"},
      {"order_amount", "five per cent", [](F& f) { f.order->total = "100.00", f.total_amount = "105.00"; },
       "pass"},
      {"order_amount", "more", [](F& f) { f.order->total = "100.00", f.total_amount = "105.01"; }, "fail"},
      {"order_quantity", "ten per cent", [](F& f) { f.order->lines[0].quantity = "3.333333"; }, "pass"},
      {"order_quantity", "more", [](F& f) { f.order->lines[0].quantity = "3.4"; }, "fail"},
      {"order_quantity", "other items",
       [](F& f) {
         f.order->lines = {{"X-9", "", "1", ""}};
       },
       "none"},
      {"goods_received", "nothing yet", [](F& f) { f.order->receipts = 0; }, "fail"},
      {"received_quantity", "two of three", [](F& f) { f.order->received[0].quantity = "2"; }, "fail"},
      {"received_quantity", "nothing yet", [](F& f) { f.order->receipts = 0; }, "none"},
      {"duplicate_number", "the same", [](F& f) { f.twins = {twin(true, true, true, 0)}; }, "fail"},
      {"duplicate_number", "another total", [](F& f) { f.twins = {twin(true, false, true, 0)}; }, "pass"},
      {"duplicate_suspect", "another total", [](F& f) { f.twins = {twin(true, false, true, 0)}; }, "fail"},
      {"duplicate_suspect", "two days apart", [](F& f) { f.twins = {twin(false, true, false, 2)}; }, "fail"},
      {"duplicate_suspect", "three days apart", [](F& f) { f.twins = {twin(false, true, false, 3)}; },
       "pass"},
      {"duplicate_suspect", "nearly the amount, a day apart",
       [](F& f) { f.twins = {twin(false, false, false, 1)}; }, "fail"},
  };
  return table;
}

std::string outcome(const std::vector<Check>& checks, std::string_view rule) {
  bool any = false, failed = false;
  for (const auto& check : checks) {
    if (check.rule_id != rule) continue;
    any = true;
    failed = failed || !check.passed;
  }
  return failed ? "fail" : any ? "pass" : "none";
}

std::string faults(const std::vector<Check>& checks) {
  std::string out;
  for (const auto& check : checks) {
    if (!check.passed) out += check.rule_id + " ";
  }
  return out;
}

struct File {
  explicit File(const std::string& text)
      : path("/tmp/celeriac-rules-" + std::to_string(::getpid()) + ".toml") {
    std::ofstream(path) << text;
  }
  ~File() { ::unlink(path.c_str()); }
  std::string path;
};

}  // namespace

TEST_CASE("a good invoice passes every rule, and every rule says so") {
  const RuleSet rules;
  const auto checks = check_invoice(good(), rules);
  CHECK(faults(checks) == "");
  for (const auto& rule : rules.rules()) {
    CAPTURE(rule.id);
    if (rule.id != "vendor_maximum") CHECK(outcome(checks, rule.id) == "pass");
  }
  CHECK(score(checks) == 100);
  CHECK(passes(checks, rules));
}

TEST_CASE("each rule fails, passes at its edge and keeps silent without its facts") {
  const RuleSet rules;
  std::set<std::string_view> failing;
  for (const auto& one : cases()) {
    CAPTURE(one.rule);
    CAPTURE(one.what);
    auto facts = good();
    if (std::string_view(one.rule) == "vendor_maximum") facts.vendor->max_invoice_amount = "500";
    one.change(facts);
    CHECK(outcome(check_invoice(facts, rules), one.rule) == one.expect);
    if (std::string_view(one.expect) == "fail") failing.insert(one.rule);
  }
  for (const auto& rule : rules.rules()) {
    CAPTURE(rule.id);
    CHECK(failing.contains(rule.id));  // a rule without a failing case is not tested
  }
}

TEST_CASE("a failed check names code, severity, field, expected and actual value, tolerance and what to do") {
  auto facts = good();
  facts.total_amount = "118.00";
  const auto checks = check_invoice(facts, RuleSet());
  const auto found = std::ranges::find(checks, std::string("total_sum"), &Check::rule_id);
  REQUIRE(found != checks.end());
  CHECK(found->rule_code == "TOTAL_MISMATCH");
  CHECK(found->severity == Severity::error);
  CHECK(found->expected == "119.00");
  CHECK(found->actual == "118.00");
  CHECK(found->tolerance == "0.01 currency");
  CHECK_FALSE(found->hint.empty());
  CHECK_FALSE(passes(checks, RuleSet()));
  CHECK(score(checks) == 87.5);
}

TEST_CASE("ids are unique and every rule tells people what it means") {
  std::set<std::string_view> ids;
  for (const auto& rule : default_rules()) {
    CAPTURE(rule.id);
    CHECK(ids.insert(rule.id).second);
    CHECK((!rule.holds.empty() && !rule.fails.empty() && !rule.hint.empty() && rule.check));
    CHECK(rule.code.size() <= 50);
    CHECK(rule.limit.empty() == rule.unit.empty());
  }
}

TEST_CASE("a file changes severity, limit and strictness, and the version tells") {
  const File file(
      "version = \"2024-07\"\nstrict = true\n[rules.total_sum]\nlimit = \"1.00\"\nseverity = \"warning\"\n"
      "[rules.age]\nenabled = false\n");
  const auto rules = RuleSet::load(file.path);
  REQUIRE_MESSAGE(rules.has_value(), rules.error().what);
  CHECK(rules->version().starts_with("2024-07+"));
  CHECK(rules->version() != RuleSet().version());
  auto facts = good();
  facts.total_amount = "120.00";
  facts.order->total = "120.00";
  facts.vendor->spend = "0";
  facts.age_days = 4000;
  CHECK(faults(check_invoice(facts, *rules)) == "");
  facts.total_amount = "120.01";
  const auto checks = check_invoice(facts, *rules);
  CHECK(faults(checks) == "total_sum ");
  CHECK_FALSE(passes(checks, *rules));  // strict: warnings fail
}

TEST_CASE("a wrong file is refused with its line and key") {
  const auto fault = [](const std::string& text) {
    const File file(text);
    const auto rules = RuleSet::load(file.path);
    return rules ? std::string() : rules.error().what.substr(file.path.size());
  };
  CHECK(fault("[rules.totl_sum]\nlimit = 1\n").starts_with(":1: rules.totl_sum is no rule"));
  CHECK(fault("\n[rules.total_sum]\nlimit = \"-1\"\n")
            .starts_with(":3: rules.total_sum.limit must be a decimal"));
  CHECK(fault("[rules.vendor_name]\nlimit = 1\n").find("has no limit") != std::string::npos);
  CHECK(fault("[rules.age]\nseverity = \"fatal\"\n").find("must be error, warning or info") !=
        std::string::npos);
  CHECK(fault("strikt = true\n").starts_with(":1: strikt is not one of"));
  CHECK(fault("strict = \"yes\"\n") == ":1: strict must be true or false");
  CHECK_FALSE(fault("[rules\n").empty());
  CHECK_FALSE(RuleSet::load("/nowhere/rules.toml").has_value());
}

TEST_CASE("what a category allows") {
  const Json none = Json::object();
  CHECK(refuse_resolution(Category::math, "RECALCULATE", none) == "");
  CHECK(refuse_resolution(Category::math, "MANUAL_ADJUST", {{"amount", "10000"}}) == "");
  CHECK(refuse_resolution(Category::math, "MANUAL_ADJUST", {{"amount", "-10000.01"}}) != "");
  CHECK(refuse_resolution(Category::math, "MANUAL_ADJUST", none) != "");
  CHECK(refuse_resolution(Category::duplicate, "MANUAL_ADJUST", {{"amount", "1"}}) != "");
  CHECK(refuse_resolution(Category::matching, "ACCEPT_VARIANCE", {{"variance_percent", "10"}}) == "");
  CHECK(refuse_resolution(Category::matching, "ACCEPT_VARIANCE", {{"variance_percent", "10.01"}}) != "");
  CHECK(refuse_resolution(Category::vendor_policy, "AUTO_APPROVE", none) != "");
  CHECK(refuse_resolution(Category::data_quality, "DATA_CORRECTION",
                          {{"field", "po_number"}, {"value", ""}}) != "");
  CHECK(refuse_resolution(Category::data_quality, "DATA_CORRECTION",
                          {{"field", "po_number"}, {"value", "PO-1"}}) == "");
  CHECK(refuse_resolution(Category::math, "SHRUG", none) == "there is no action SHRUG");
}

TEST_CASE("a subtotal is put right only when everything else proves it") {
  const RuleSet rules;
  auto facts = good();
  CHECK_FALSE(auto_resolution(facts, check_invoice(facts, rules)).has_value());
  facts.subtotal = "90.00";
  const auto correction = auto_resolution(facts, check_invoice(facts, rules));
  REQUIRE(correction.has_value());
  CHECK(correction->field == "subtotal");
  CHECK(correction->value == "100.00");
  facts.total_amount = "119.01";
  CHECK_FALSE(auto_resolution(facts, check_invoice(facts, rules)).has_value());
  facts.total_amount = "119.00";
  facts.lines[0].unit_price = "21.00";
  CHECK_FALSE(auto_resolution(facts, check_invoice(facts, rules)).has_value());
}

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
