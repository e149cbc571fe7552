// What may be done about an exception, by its category: pure decisions, a table.
#pragma once

#include "protocol/json.hpp"
#include "tasks/validation/rules.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace celeriac {

struct Handling {
  Category category = Category::data_quality;
  bool auto_resolvable = false;               // by its kind; whether it happens is auto_resolution()'s to say
  bool needs_approval = false;                // somebody with authority has to agree
  std::span<const std::string_view> actions;  // suggested first to last, labels of exceptionaction
};
const Handling& handling(Category category);

std::optional<Category> parse_category(std::string_view label);

// Why `action` with `data` may not resolve an exception of this category; empty: it may.
// data: {"amount": "12.50"} adjusts an amount, {"variance_percent": "4"} accepts a variance,
// {"field", "value"} corrects a field.
std::string refuse_resolution(Category category, std::string_view action, const Json& data);

// A correction that the document itself proves.
struct Correction {
  std::string field, value;  // of the invoice's row
  std::string reason;
};

// The subtotal may be put right when it is the only number that disagrees: lines, tax and freight give the
// stated total to the cent.
std::optional<Correction> auto_resolution(const InvoiceFacts& invoice, const std::vector<Check>& checks);

}  // namespace celeriac
