// The documents of examples/documents, through the real engines.
#include "tasks/engines/engines.hpp"
#include "tasks/extraction/invoice.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <iterator>

using namespace celeriac;

namespace {

std::string sample(const std::string& name) {
  return std::string(CELERIAC_SOURCE_DIR) + "/examples/documents/" + name;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool warned(const ExtractedInvoice& invoice, std::string_view code) {
  for (const Warning& warning : invoice.warnings)
    if (warning.code == code) return true;
  return false;
}

}  // namespace

TEST_CASE("a digital invoice") {
  const auto invoice = extract_file(sample("invoice.pdf"));
  REQUIRE(invoice);
  CHECK(invoice->method == ExtractMethod::text);
  CHECK(invoice->mime_type == "application/pdf");
  CHECK(invoice->page_count == 1);
  CHECK(invoice->invoice_number.value == "NM-2024-0815");
  CHECK(invoice->invoice_date.value == "2024-03-14");
  CHECK(invoice->due_date.value == "2024-04-13");
  CHECK(invoice->currency.value == "EUR");
  CHECK(invoice->seller_name.value == "Nordlicht Möbel GmbH");
  CHECK(invoice->seller_vat_id.value == "DE123456789");
  CHECK(invoice->buyer_name.value == "Café Morgenrot KG");
  CHECK(invoice->po_number.value == "CM-77120");
  CHECK(invoice->iban.value == "DE02120300000000202051");
  CHECK(invoice->subtotal.value == "1843.80");
  CHECK(invoice->tax_amount.value == "344.35");
  CHECK(invoice->total_amount.value == "2188.15");
  REQUIRE(invoice->line_items.size() == 3);
  CHECK(invoice->line_items[0].description.value == "Stuhl Eiche natur");
  CHECK(invoice->line_items[0].line_total.value == "1074.00");
  CHECK(invoice->line_items[2].tax_rate.value == "7");
  CHECK(invoice->confidence > 0.85);
  REQUIRE(invoice->invoice_number.box);
  CHECK(invoice->invoice_number.page == 1);
  CHECK(invoice->raw_text.find("Hafenstraße") != std::string::npos);
}

TEST_CASE("an e-invoice is read from its XML, or from its page on request") {
  const auto xml = extract_file(sample("einvoice.pdf"));
  REQUIRE(xml);
  CHECK(xml->method == ExtractMethod::xml);
  CHECK(xml->xml_format == "cii");
  CHECK(xml->warnings.empty());
  ExtractOptions options;
  options.ignore_embedded_xml = true;
  const auto page = extract_file(sample("einvoice.pdf"), options);
  REQUIRE(page);
  CHECK(page->method == ExtractMethod::text);
  for (auto member :
       {&ExtractedInvoice::invoice_number, &ExtractedInvoice::invoice_date, &ExtractedInvoice::due_date,
        &ExtractedInvoice::currency, &ExtractedInvoice::seller_name, &ExtractedInvoice::seller_vat_id,
        &ExtractedInvoice::buyer_name, &ExtractedInvoice::po_number, &ExtractedInvoice::subtotal,
        &ExtractedInvoice::tax_amount, &ExtractedInvoice::total_amount}) {
    CHECK(((*xml).*member).value == ((*page).*member).value);
    CHECK(((*xml).*member).confidence == 1);
    CHECK(((*page).*member).confidence < 1);
  }
}

TEST_CASE("a scanned receipt") {
  const auto invoice = extract_file(sample("receipt.png"));
  REQUIRE(invoice);
  CHECK(invoice->method == ExtractMethod::ocr);
  CHECK(invoice->seller_name.value == "CORNER KIOSK LTD");
  CHECK(invoice->invoice_date.value == "2024-06-21");
  CHECK(invoice->total_amount.value == "11.10");
  CHECK(invoice->total_amount.source == FieldSource::ocr);
}

TEST_CASE("limits are kept before any work is done") {
  const std::string pdf = bytes_of(sample("invoice.pdf"));
  ExtractOptions options;
  options.max_bytes = 100;
  CHECK(extract_document(pdf, options).error().code == ExtractErrorCode::too_large);
  CHECK(extract_file(sample("invoice.pdf"), options).error().code == ExtractErrorCode::too_large);
  options = {};
  options.max_pages = 0;
  CHECK(extract_document(pdf, options).error().code == ExtractErrorCode::too_many_pages);
  options = {};
  options.deadline = std::chrono::milliseconds(0);
  CHECK(extract_document(pdf, options).error().code == ExtractErrorCode::timeout);
  CHECK(extract_document("").error().code == ExtractErrorCode::empty_file);
  CHECK(extract_document("Dear customer").error().code == ExtractErrorCode::unsupported_type);
  CHECK(extract_document("%PDF-1.7\n%%EOF").error().code == ExtractErrorCode::corrupt);
  CHECK(extract_file("/no/such/file").error().code == ExtractErrorCode::unreadable_file);
}

TEST_CASE("OCR ends when it is cancelled and reports how far it is") {
  const std::string png = bytes_of(sample("receipt.png"));
  std::vector<std::string> stages;
  ExtractOptions options;
  options.progress = [&](std::string_view stage, int, int) { stages.emplace_back(stage); };
  bool in_ocr = false;
  options.cancelled = [&] {
    const bool was = in_ocr;
    in_ocr = !stages.empty() && stages.back() == "ocr";
    return was;
  };
  CHECK(extract_document(png, options).error().code == ExtractErrorCode::cancelled);
  CHECK(stages == std::vector<std::string>{"detect", "ocr"});
}

TEST_CASE("every cut of a PDF is survived") {
  const std::string pdf = bytes_of(sample("einvoice.pdf"));
  for (std::size_t size = 1; size < pdf.size(); size += 97) {
    const auto result = extract_document(std::string_view(pdf).substr(0, size));
    if (result) CHECK(result->page_count >= 0);
  }
}

TEST_CASE("an image bomb is refused by its header") {
  // A PNG header that announces 50000 x 50000 pixels.
  std::string png("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xc3\x50\0\0\xc3\x50\x01\0\0\0\0", 29);
  png += std::string(60, '\0');
  const auto result = extract_document(png);
  REQUIRE_FALSE(result);
  CHECK((result.error().code == ExtractErrorCode::image_too_large ||
         result.error().code == ExtractErrorCode::corrupt));
}

TEST_CASE("the same engines serve every call") {
  const auto first = load_engines(), second = load_engines();
  REQUIRE(first);
  CHECK(*first == *second);
  CHECK((*first)->ocr_languages().starts_with("eng"));
  CHECK_FALSE(warned(*extract_file(sample("invoice.pdf")), "damaged"));
}
