// The rules an invoice is judged by, as data: each has a code for programs, a severity, a limit, words
// for people and a hint how to go on. What a rule looks at is one function in checks_*.cpp.
//
// Codes and severities are those of the accounts-payable validator. A TOML file may change
// severity and limit of each rule or switch it off:
//
//   version = "2024-07"
//   strict = false             # true: a warning fails the invoice too
//   auto_resolve = true        # mend what the document itself proves
//   [rules.total_sum]
//   severity = "warning"
//   limit = "0.05"
//   enabled = true
#pragma once

#include "protocol/error.hpp"
#include "tasks/validation/decimal.hpp"
#include "tasks/validation/facts.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

enum class Severity { error, warning, info };
std::string_view to_string(Severity);

enum class Category { math, duplicate, matching, vendor_policy, data_quality, system };
std::string_view to_string(Category);  // "MATH", ... as the database spells it

class Report;
struct Rule;
using CheckFunction = void (*)(const InvoiceFacts&, const Rule&, Report&);

struct Rule {
  std::string_view id;    // of this row: "line_product"
  std::string_view code;  // for programs; several rules may share one
  Severity severity = Severity::error;
  Category category = Category::data_quality;
  std::string limit = {};      // tolerance or threshold, a decimal; empty: the rule has none
  std::string_view unit = {};  // of the limit: "currency", "%", "days", "lines", "confidence"
  std::string_view holds = {}, fails = {}, hint = {};
  CheckFunction check = nullptr;
  bool enabled = true;

  Decimal limit_value() const { return Decimal(limit); }
};

class RuleSet {
 public:
  RuleSet();  // the defaults

  // Reads a file of the form above; an empty path gives the defaults. Errors name file, line and key.
  static Expected<RuleSet> load(const std::string& path);

  std::span<const Rule> rules() const { return rules_; }
  bool strict() const { return strict_; }
  bool auto_resolve() const { return auto_resolve_; }
  // Names these very rules: the file's version (or the built-in one) and the start of the digest.
  std::string version() const;
  std::string digest() const;  // SHA-256 over every rule's severity, limit and switch

 private:
  std::vector<Rule> rules_;
  std::string name_;
  bool strict_ = false, auto_resolve_ = true;
};

struct Check {
  std::string rule_code;
  Severity severity = Severity::error;
  bool passed = true;
  std::string field;
  int line_number = 0;           // 0: about the whole invoice
  std::string expected, actual;  // may be empty
  std::string message;
  std::string rule_id;
  Category category = Category::data_quality;
  std::string tolerance;  // "0.01 currency"; may be empty
  std::string hint;       // of a failed one
};

// What the rules write down.
class Report {
 public:
  void hold(const Rule& rule, std::string field, std::string expected = {}, std::string actual = {});
  void fail(const Rule& rule, std::string field, std::string expected = {}, std::string actual = {},
            int line_number = 0);
  void judge(bool passed, const Rule& rule, std::string field, std::string expected = {},
             std::string actual = {});
  std::vector<Check> take() && { return std::move(checks_); }

 private:
  Check& add(const Rule& rule, std::string field, std::string expected, std::string actual);
  std::vector<Check> checks_;
};

// Every enabled rule that could be applied. A line rule that holds for all lines is one passed check.
std::vector<Check> check_invoice(const InvoiceFacts& invoice, const RuleSet& rules);

// No errors, and in a strict set no warnings.
bool passes(const std::vector<Check>& checks, const RuleSet& rules);

// 0 to 100: what is left when each group of rules that failed has taken its weight.
double score(const std::vector<Check>& checks);

}  // namespace celeriac
