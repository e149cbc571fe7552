// Reads lines "a b" and prints a+b, a-b, a*b and what check_invoice says of an invoice whose one line is
// a times b: for tests/tasks/validation_decimal.py.
#include "tasks/validation/rules.hpp"

#include <algorithm>
#include <iostream>

int main() {
  using namespace celeriac;
  const RuleSet rules;
  std::string left, right, stated;
  while (std::cin >> left >> right >> stated) {
    const auto a = parse_decimal(left), b = parse_decimal(right);
    if (!a || !b) {
      std::cout << "refused\n";
      continue;
    }
    InvoiceFacts facts;
    facts.lines = {{1, "x", left, right, stated}};
    facts.subtotal = left;
    facts.tax_amount = right;
    facts.total_amount = stated;
    const auto checks = check_invoice(facts, rules);
    const auto verdict = [&](const char* rule) {
      const auto found = std::ranges::find(checks, std::string(rule), &Check::rule_id);
      return found == checks.end() ? "none" : found->passed ? "pass" : "fail";
    };
    std::cout << to_text(*a + *b) << ' ' << to_text(*a - *b) << ' ' << to_text(*a * *b) << ' '
              << verdict("line_product") << ' ' << verdict("total_sum") << '\n';
  }
}
