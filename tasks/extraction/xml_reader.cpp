#include "tasks/extraction/xml_reader.hpp"

#include "tasks/extraction/text.hpp"
#include "tasks/extraction/values.hpp"
#include "tasks/extraction/xml_invoice.hpp"

#include <algorithm>

namespace celeriac {
namespace xml {

std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const std::size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

namespace {

pugi::xml_node child(pugi::xml_node from, std::string_view alternatives) {
  while (true) {
    const std::size_t bar = alternatives.find('|');
    const std::string_view name = alternatives.substr(0, bar);
    for (pugi::xml_node node : from.children())
      if (node.type() == pugi::node_element && local_name(node) == name) return node;
    if (bar == std::string_view::npos) return {};
    alternatives.remove_prefix(bar + 1);
  }
}

}  // namespace

pugi::xml_node find(pugi::xml_node from, std::string_view path) {
  while (from && !path.empty()) {
    const std::size_t slash = path.find('/');
    from = child(from, path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return from;
}

std::vector<pugi::xml_node> all(pugi::xml_node from, std::string_view name) {
  constexpr std::size_t most = 10'000;
  std::vector<pugi::xml_node> out;
  for (pugi::xml_node node : from.children())
    if (node.type() == pugi::node_element && local_name(node) == name && out.size() < most)
      out.push_back(node);
  return out;
}

Field field(std::string value) {
  Field out;
  out.value = squeeze(valid_utf8(value));
  if (out.value.empty()) return out;
  out.confidence = 1;
  out.source = FieldSource::xml;
  return out;
}

Field text(pugi::xml_node node) { return field(node.text().get()); }

Field date(pugi::xml_node node, ExtractedInvoice& report) {
  std::string value = squeeze(node.text().get());
  if (value.empty()) return {};
  const auto digits = [](std::string_view s) {
    return std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (value.size() >= 8 && digits(std::string_view(value).substr(0, 8)))
    value = value.substr(0, 4) + "-" + value.substr(4, 2) + "-" + value.substr(6, 2);
  else
    value = value.substr(0, 10);
  if (auto iso = parse_date(value)) return field(*iso);
  report.warn("xml_bad_value", "not a date: " + squeeze(valid_utf8(node.text().get())).substr(0, 40));
  return {};
}

Field decimal(pugi::xml_node node, ExtractedInvoice& report) {
  std::string value = squeeze(node.text().get());
  if (value.empty()) return {};
  if (value.find('.') != std::string::npos)
    while (value.ends_with('0') && value.size() - value.find('.') > 3) value.pop_back();
  if (value.ends_with('.')) value.pop_back();
  if (value.find_first_not_of("+-.0123456789") == std::string::npos)
    if (auto amount = parse_amount(value, '.')) return field(amount->value);
  report.warn("xml_bad_value", "not a number: " + valid_utf8(value).substr(0, 40));
  return {};
}

pugi::xml_node in_currency(const std::vector<pugi::xml_node>& amounts, std::string_view currency) {
  for (const pugi::xml_node& node : amounts)
    if (currency == node.attribute("currencyID").value()) return node;
  return amounts.empty() ? pugi::xml_node() : amounts.front();
}

}  // namespace xml

Extracted<ExtractedInvoice> read_xml_invoice(std::string_view bytes) {
  const auto refuse = [](std::string message) {
    return tl::unexpected(ExtractError{ExtractErrorCode::invalid_xml, std::move(message)});
  };
  constexpr std::size_t most = 16u << 20;
  if (bytes.size() > most) return refuse("more than 16 MiB of XML");
  pugi::xml_document document;
  const auto parsed =
      document.load_buffer(bytes.data(), bytes.size(), pugi::parse_default | pugi::parse_doctype);
  for (pugi::xml_node node : document.children())
    if (node.type() == pugi::node_doctype) return refuse("document type definitions are not accepted");
  if (!parsed) return refuse(std::string(parsed.description()) + " at byte " + std::to_string(parsed.offset));

  ExtractedInvoice invoice;
  invoice.method = ExtractMethod::xml;
  invoice.mime_type = "application/xml";
  const pugi::xml_node root = document.document_element();
  const std::string_view name = xml::local_name(root);
  if (name == "CrossIndustryInvoice" || name == "CrossIndustryDocument") {
    invoice.xml_format = name == "CrossIndustryInvoice" ? "cii" : "cii1";
    xml::read_cii(root, invoice);
  } else if (name == "Invoice" || name == "CreditNote") {
    invoice.xml_format = "ubl";
    xml::read_ubl(root, invoice);
  } else if (name == "FatturaElettronica") {
    invoice.xml_format = "fatturapa";
    xml::read_fatturapa(root, invoice);
  } else {
    return refuse("<" + valid_utf8(name.substr(0, 60)) + "> is no invoice syntax that is known here");
  }
  if (!invoice.invoice_number.present() && !invoice.total_amount.present())
    return refuse("neither an invoice number nor a total");
  return invoice;
}

}  // namespace celeriac
