#include "tasks/validation/taxonomy.hpp"

#include "tasks/validation/checks.hpp"

#include <algorithm>

namespace celeriac {
namespace {

using std::string_view;
constexpr string_view math[] = {"RECALCULATE", "MANUAL_ADJUST"};
constexpr string_view duplicates[] = {"MANUAL_REVIEW", "REJECT_DUPLICATE"};
constexpr string_view matching[] = {"UPDATE_PO", "ACCEPT_VARIANCE", "MANUAL_REVIEW"};
constexpr string_view vendor_policy[] = {"ESCALATE", "MANUAL_APPROVAL"};
constexpr string_view data_quality[] = {"DATA_CORRECTION", "MANUAL_REVIEW"};
constexpr string_view system_faults[] = {"ESCALATE", "SYSTEM_RETRY"};

constexpr Handling table[] = {
    {Category::math, true, false, math},
    {Category::duplicate, false, true, duplicates},
    {Category::matching, true, false, matching},
    {Category::vendor_policy, false, true, vendor_policy},
    {Category::data_quality, true, false, data_quality},
    {Category::system, false, false, system_faults},
};

std::string text(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A number of the data within a bound, or why not.
std::string bounded(const Json& data, const char* key, const char* bound) {
  const auto number = parse_decimal(text(data, key));
  if (!number) return std::string(key) + " must be given as a decimal text";
  if (abs(*number) > Decimal(bound)) return std::string(key) + " may be at most " + bound;
  return {};
}

}  // namespace

const Handling& handling(Category category) { return table[static_cast<std::size_t>(category)]; }

std::optional<Category> parse_category(std::string_view label) {
  for (const auto& row : table) {
    if (to_string(row.category) == label) return row.category;
  }
  return std::nullopt;
}

std::string refuse_resolution(Category category, std::string_view action, const Json& data) {
  if (!data.is_object()) return "the data must be an object";
  constexpr string_view known[] = {"RECALCULATE",     "MANUAL_ADJUST",   "MANUAL_REVIEW", "REJECT_DUPLICATE",
                                   "UPDATE_PO",       "ACCEPT_VARIANCE", "ESCALATE",      "MANUAL_APPROVAL",
                                   "DATA_CORRECTION", "SYSTEM_RETRY",    "AUTO_APPROVE"};
  if (std::ranges::find(known, action) == std::end(known)) return "there is no action " + std::string(action);
  if (category == Category::duplicate && action == "MANUAL_ADJUST")
    return "a duplicate cannot be adjusted away";
  if (category == Category::vendor_policy && action == "AUTO_APPROVE")
    return "a breach of vendor policy needs a person's approval";
  if (action == "MANUAL_ADJUST") return bounded(data, "amount", "10000");
  if (action == "ACCEPT_VARIANCE") return bounded(data, "variance_percent", "10");
  if (action == "DATA_CORRECTION" && (text(data, "field").empty() || text(data, "value").empty()))
    return "a correction needs a field and a value that is not empty";
  return {};
}

std::optional<Correction> auto_resolution(const InvoiceFacts& invoice, const std::vector<Check>& checks) {
  const auto failed = [&](std::string_view rule) {
    return std::ranges::any_of(checks,
                               [&](const Check& check) { return !check.passed && check.rule_id == rule; });
  };
  if (!failed("subtotal_sum")) return std::nullopt;
  const auto lines = checks::sum_of_lines(invoice), total = parse_decimal(invoice.total_amount);
  if (!lines || !total || failed("line_product") || failed("line_minimum")) return std::nullopt;
  const Decimal none(0), sum = *lines + parse_decimal(invoice.tax_amount).value_or(none) +
                               parse_decimal(invoice.freight).value_or(none);
  if (sum != *total) return std::nullopt;
  return Correction{"subtotal", to_text(*lines), "lines, tax and freight give the stated total"};
}

}  // namespace celeriac
