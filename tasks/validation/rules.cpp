#include "tasks/validation/rules.hpp"

#include "tasks/store/digest.hpp"
#include "tasks/validation/rules_table.hpp"

#include <algorithm>
#include <utility>

namespace celeriac {
namespace {

constexpr std::string_view built_in_version = "2.1.0";

struct Weight {
  std::string_view group;
  double points;
  std::initializer_list<std::string_view> rules;
};

// Of the accounts-payable validator; they add up to a hundred.
const Weight weights[] = {
    {"structure", 15, {"has_lines", "line_count", "confidence"}},
    {"header",
     15,
     {"vendor_name", "invoice_number", "invoice_date", "total_amount", "number_form", "currency_code",
      "dated_ahead", "age", "due_after_date"}},
    {"lines", 10, {"line_fields", "line_minimum", "line_maximum", "line_product"}},
    {"subtotal", 12.5, {"subtotal", "subtotal_sum"}},
    {"total", 12.5, {"total_sum", "total_maximum", "tax_rate_range", "tax_by_rate"}},
    {"order found", 10, {"order_found", "order_fits"}},
    {"order amount", 5, {"order_amount", "order_quantity"}},
    {"receipt", 5, {"goods_received", "received_quantity"}},
    {"vendor active", 5, {"vendor_known", "vendor_active", "vendor_tax_id"}},
    {"vendor currency", 2.5, {"vendor_currency"}},
    {"vendor spend", 2.5, {"vendor_spend", "vendor_maximum", "payment_terms"}},
    {"no duplicate", 5, {"duplicate_number", "duplicate_suspect"}},
};

}  // namespace

std::string_view to_string(Severity severity) {
  constexpr std::string_view names[] = {"error", "warning", "info"};
  return names[static_cast<std::size_t>(severity)];
}

std::string_view to_string(Category category) {
  constexpr std::string_view names[] = {"MATH",          "DUPLICATE",    "MATCHING",
                                        "VENDOR_POLICY", "DATA_QUALITY", "SYSTEM"};
  return names[static_cast<std::size_t>(category)];
}

RuleSet::RuleSet() : rules_(default_rules()), name_(built_in_version) {}

std::string RuleSet::digest() const {
  std::string text = strict_ ? "strict" : "";
  for (const auto& rule : rules_) {
    text += '\n';
    text += rule.id;
    text += rule.enabled ? " " + std::string(to_string(rule.severity)) + " " + rule.limit : " off";
  }
  return sha256_hex(text);
}

std::string RuleSet::version() const { return name_ + "+" + digest().substr(0, 8); }

void Report::hold(const Rule& rule, std::string field, std::string expected, std::string actual) {
  add(rule, std::move(field), std::move(expected), std::move(actual)).message = rule.holds;
}

void Report::fail(const Rule& rule, std::string field, std::string expected, std::string actual,
                  int line_number) {
  Check& check = add(rule, std::move(field), std::move(expected), std::move(actual));
  check.passed = false;
  check.line_number = line_number;
  check.message = rule.fails;
  check.hint = rule.hint;
}

void Report::judge(bool passed, const Rule& rule, std::string field, std::string expected,
                   std::string actual) {
  if (passed) return hold(rule, std::move(field), std::move(expected), std::move(actual));
  fail(rule, std::move(field), std::move(expected), std::move(actual));
}

Check& Report::add(const Rule& rule, std::string field, std::string expected, std::string actual) {
  Check& check = checks_.emplace_back();
  check.rule_id = rule.id;
  check.rule_code = rule.code;
  check.severity = rule.severity;
  check.category = rule.category;
  check.field = std::move(field);
  check.expected = std::move(expected);
  check.actual = std::move(actual);
  if (!rule.limit.empty()) check.tolerance = rule.limit + " " + std::string(rule.unit);
  return check;
}

std::vector<Check> check_invoice(const InvoiceFacts& invoice, const RuleSet& rules) {
  Report report;
  for (const auto& rule : rules.rules()) {
    if (rule.enabled) rule.check(invoice, rule, report);
  }
  return std::move(report).take();
}

bool passes(const std::vector<Check>& checks, const RuleSet& rules) {
  return std::ranges::none_of(checks, [&](const Check& check) {
    return !check.passed &&
           (check.severity == Severity::error || (rules.strict() && check.severity == Severity::warning));
  });
}

double score(const std::vector<Check>& checks) {
  double points = 0;
  for (const auto& weight : weights) {
    const bool failed = std::ranges::any_of(checks, [&](const Check& check) {
      return !check.passed && check.severity != Severity::info &&
             std::ranges::find(weight.rules, check.rule_id) != weight.rules.end();
    });
    if (!failed) points += weight.points;
  }
  return points;
}

}  // namespace celeriac
