#include "tasks/extraction/invoice_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace celeriac {
namespace {

using Document = nlohmann::ordered_json;

double rounded(double confidence) { return std::round(confidence * 1000) / 1000; }

Document field_json(const Field& field) {
  Document out{
      {"value", field.value}, {"confidence", rounded(field.confidence)}, {"source", to_string(field.source)}};
  if (field.page > 0) out["page"] = field.page;
  if (field.box) out["box"] = {field.box->x0, field.box->y0, field.box->x1, field.box->y1};
  return out;
}

}  // namespace

nlohmann::ordered_json to_json(const ExtractedInvoice& invoice, bool with_raw_text) {
  Document out{{"document_type", to_string(invoice.type)},
               {"method", to_string(invoice.method)},
               {"mime_type", invoice.mime_type},
               {"page_count", invoice.page_count},
               {"confidence", rounded(invoice.confidence)}};
  if (!invoice.xml_format.empty()) out["xml_format"] = invoice.xml_format;
  Document fields = Document::object();
  for (const auto& [name, member] : header_fields())
    if (const Field& field = invoice.*member; field.present()) fields[std::string(name)] = field_json(field);
  out["fields"] = std::move(fields);
  Document items = Document::array();
  for (const LineItem& item : invoice.line_items) {
    Document line = Document::object();
    for (const auto& [name, member] : item_fields())
      if (const Field& field = item.*member; field.present()) line[std::string(name)] = field_json(field);
    items.push_back(std::move(line));
  }
  out["line_items"] = std::move(items);
  Document warnings = Document::array();
  for (const Warning& w : invoice.warnings) warnings.push_back({{"code", w.code}, {"message", w.message}});
  out["warnings"] = std::move(warnings);
  if (with_raw_text) out["raw_text"] = invoice.raw_text;
  return out;
}

nlohmann::ordered_json prediction_line(std::string_view id, const ExtractedInvoice& invoice) {
  Document out{{"id", id},
               {"status", "ok"},
               {"document_type", to_string(invoice.type)},
               {"method", to_string(invoice.method)}};
  for (const auto& [name, member] : header_fields()) {
    const Field& field = invoice.*member;
    out[std::string(name)] = field.present() ? Document(field.value) : Document();
  }
  Document items = Document::array();
  for (const LineItem& item : invoice.line_items) {
    Document line = Document::object();
    for (const auto& [name, member] : item_fields()) {
      const Field& field = item.*member;
      line[std::string(name)] = field.present() ? Document(field.value) : Document();
    }
    items.push_back(std::move(line));
  }
  out["line_items"] = std::move(items);
  out["confidence"] = rounded(invoice.confidence);
  Document codes = Document::array();
  for (const Warning& w : invoice.warnings) codes.push_back(w.code);
  out["warnings"] = std::move(codes);
  return out;
}

nlohmann::ordered_json error_line(std::string_view id, const ExtractError& error) {
  return {{"id", id},
          {"status", "error"},
          {"error", {{"code", to_string(error.code)}, {"message", error.message}}}};
}

}  // namespace celeriac
