#include "tasks/export/template.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

namespace celeriac {
namespace {

constexpr std::size_t max_columns = 200;
constexpr std::string_view transforms[] = {"uppercase",       "lowercase",  "title_case",
                                           "currency_format", "percentage", "date_format"};

ExportTemplate made_of(std::string name, bool of_lines,
                       std::initializer_list<std::pair<const char*, const char*>> columns) {
  ExportTemplate out{std::move(name), of_lines, {}};
  for (const auto& [title, field] : columns) {
    ExportColumn column;
    column.name = title;
    column.field = find_export_field(field);
    column.kind = column.field->kind;
    out.columns.push_back(std::move(column));
  }
  return out;
}

const std::vector<ExportTemplate>& built_in() {
  static const std::vector<ExportTemplate> templates = {
      made_of("standard", false,
              {{"Invoice ID", "invoice_id"},
               {"Vendor Name", "vendor_name"},
               {"Invoice Number", "invoice_number"},
               {"Invoice Date", "invoice_date"},
               {"Due Date", "due_date"},
               {"PO Number", "po_number"},
               {"Currency", "currency"},
               {"Subtotal", "subtotal"},
               {"Tax", "tax_amount"},
               {"Total", "total_amount"},
               {"Line Count", "line_count"},
               {"Processed At", "updated_at"}}),
      made_of("detailed", false,
              {{"invoice_id", "invoice_id"},
               {"vendor_id", "vendor_id"},
               {"vendor_name", "vendor_name"},
               {"vendor_tax_id", "vendor_tax_id"},
               {"buyer_name", "buyer_name"},
               {"invoice_number", "invoice_number"},
               {"invoice_date", "invoice_date"},
               {"due_date", "due_date"},
               {"po_number", "po_number"},
               {"currency", "currency"},
               {"subtotal", "subtotal"},
               {"tax_amount", "tax_amount"},
               {"freight", "freight"},
               {"total_amount", "total_amount"},
               {"document_type", "document_type"},
               {"status", "status"},
               {"payment_status", "payment_status"},
               {"confidence_score", "confidence_score"},
               {"requires_review", "requires_review"},
               {"line_count", "line_count"},
               {"created_at", "created_at"},
               {"updated_at", "updated_at"}}),
      made_of("accounting", false,
              {{"Vendor", "vendor_name"},
               {"Tax ID", "vendor_tax_id"},
               {"Invoice", "invoice_number"},
               {"Date", "invoice_date"},
               {"Due", "due_date"},
               {"Currency", "currency"},
               {"Net", "subtotal"},
               {"Tax", "tax_amount"},
               {"Gross", "total_amount"},
               {"Payment", "payment_status"}}),
      made_of("lines", true,
              {{"Invoice ID", "invoice_id"},
               {"Invoice Number", "invoice_number"},
               {"Vendor Name", "vendor_name"},
               {"Line", "line_number"},
               {"Item", "item_number"},
               {"Description", "description"},
               {"Quantity", "quantity"},
               {"Unit", "unit_of_measure"},
               {"Unit Price", "unit_price"},
               {"Tax Rate", "line_tax_rate"},
               {"Amount", "line_total"},
               {"Currency", "currency"}}),
  };
  return templates;
}

struct Fault {
  std::string text;
};

class Mapping {
 public:
  Mapping(const Json& json, std::size_t index)
      : json_(json), place_("field_mappings[" + std::to_string(index) + "]") {
    if (!json.is_object()) throw Fault{place_ + " is no object"};
  }

  ExportColumn read(bool of_lines) const {
    ExportColumn out;
    const std::string source = text("source_field");
    out.field = find_export_field(source);
    if (!out.field) throw Fault{place_ + ": there is no field '" + source.substr(0, 100) + "'"};
    if (out.field->of_line && !of_lines)
      throw Fault{place_ + ": '" + source + "' is a line's; the template's level is invoice"};
    out.name = has("target_field") ? text("target_field") : source;
    if (out.name.empty() || out.name.size() > 255)
      throw Fault{place_ + ": target_field must have 1 to 255 bytes"};
    if (has("default_value")) {
      out.fallback = json_.at("default_value").is_string() ? text("default_value")
                                                           : dump_json(json_.at("default_value"));
      out.has_fallback = true;
    }
    if (has("required")) {
      if (!json_.at("required").is_boolean()) throw Fault{place_ + ": required must be true or false"};
      out.required = json_.at("required").get<bool>();
    }
    transform(out);
    return out;
  }

 private:
  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }
  std::string text(const char* key) const {
    if (!has(key) || !json_.at(key).is_string()) throw Fault{place_ + ": " + key + " must be a text"};
    return json_.at(key).get<std::string>();
  }

  void transform(ExportColumn& out) const {
    out.kind = out.field->kind;
    if (!has("transform_function")) return;
    out.transform = text("transform_function");
    if (std::ranges::find(transforms, out.transform) == std::end(transforms))
      throw Fault{place_ + ": there is no transform '" + out.transform.substr(0, 100) + "'"};
    const bool of_number = out.transform == "currency_format" || out.transform == "percentage";
    const CellKind wanted = of_number                        ? CellKind::number
                            : out.transform == "date_format" ? CellKind::date
                                                             : CellKind::text;
    if (out.field->kind != wanted)
      throw Fault{place_ + ": " + out.transform + " does not fit " + std::string(out.field->name)};
    out.kind = CellKind::text;
    if (out.transform == "date_format")
      out.format = has("format_string") ? text("format_string") : "YYYY-MM-DD";
  }

  const Json& json_;
  std::string place_;
};

}  // namespace

Expected<ExportTemplate> read_export_template(std::string name, std::string_view level,
                                              const Json& mappings) {
  ExportTemplate out{std::move(name), level == "line", {}};
  if (level != "line" && level != "invoice") return unexpected("level must be invoice or line");
  if (!mappings.is_array() || mappings.empty())
    return unexpected("field_mappings must be an array of columns");
  if (mappings.size() > max_columns)
    return unexpected("more than " + std::to_string(max_columns) + " columns");
  std::set<std::string> names;
  try {
    for (std::size_t i = 0; i < mappings.size(); ++i) {
      out.columns.push_back(Mapping(mappings[i], i).read(out.of_lines));
      if (!names.insert(out.columns.back().name).second)
        throw Fault{"two columns are named '" + out.columns.back().name + "'"};
    }
  } catch (const Fault& fault) {
    return unexpected(fault.text);
  }
  return out;
}

const ExportTemplate* built_in_template(std::string_view name) {
  const auto found = std::ranges::find(built_in(), name, &ExportTemplate::name);
  return found == built_in().end() ? nullptr : &*found;
}

}  // namespace celeriac
