// What is read out of one invoice document, and the one call that reads it.
//
// Every value is text in one normal form, so that nothing is rounded on the way to a
// database: dates are yyyy-mm-dd, amounts are plain decimals ("-1234.50", point as the
// separator, no grouping, no exponent), currencies are ISO 4217 codes. An empty value
// means that the document does not state it; a guess is never filled in.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace celeriac {

// Where a value was read: a structured e-invoice, the text layer of a PDF, or OCR.
enum class FieldSource { none, xml, text, ocr };

// In points (1/72 inch) from the top left corner of the page.
struct Box {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

struct Field {
  std::string value;
  double confidence = 0;  // 0..1; 0 when the value is empty
  FieldSource source = FieldSource::none;
  int page = 0;  // from 1; 0 when the value has no place on a page (XML)
  std::optional<Box> box;

  bool present() const { return !value.empty(); }
};

struct LineItem {
  Field description;
  Field quantity;
  Field unit;
  Field unit_price;  // net, per unit
  Field tax_rate;    // per cent: "19", "5.5"
  Field line_total;  // net
};

enum class DocumentType { invoice, credit_note, other };

// How the header was read: from e-invoice XML, from the text layer, or by OCR.
enum class ExtractMethod { none, xml, text, ocr };

struct Warning {
  std::string code;     // "xml_invalid", "totals_disagree", "xml_conflicts_with_page", ...
  std::string message;  // for people
};

struct ExtractedInvoice {
  DocumentType type = DocumentType::invoice;
  ExtractMethod method = ExtractMethod::none;
  std::string mime_type;   // by content, not by name
  std::string xml_format;  // "cii", "cii1" (ZUGFeRD 1), "ubl", "fatturapa"; empty without XML
  int page_count = 0;      // 0 for XML

  Field invoice_number;
  Field invoice_date;
  Field due_date;
  Field delivery_date;
  Field currency;
  Field seller_name;
  Field seller_vat_id;
  Field seller_address;
  Field buyer_name;
  Field buyer_vat_id;
  Field buyer_address;
  Field po_number;
  Field iban;
  Field subtotal;  // net, after document discounts
  Field tax_amount;
  Field total_amount;  // gross
  Field amount_due;    // total less what was paid already

  std::vector<LineItem> line_items;
  std::vector<Warning> warnings;
  std::string raw_text;   // all pages in reading order, at most max_raw_text bytes
  double confidence = 0;  // of the whole document: what a reviewer threshold is compared with

  static constexpr std::size_t max_raw_text = 1u << 20;

  void warn(std::string code, std::string message) {
    warnings.push_back({std::move(code), std::move(message)});
  }
};

// The header fields by name, for everything that handles them alike (JSON, storage, scores).
struct HeaderField {
  std::string_view name;
  Field ExtractedInvoice::*member;
};
std::span<const HeaderField> header_fields();

// The fields of a line item by name.
struct ItemField {
  std::string_view name;
  Field LineItem::*member;
};
std::span<const ItemField> item_fields();

std::string_view to_string(FieldSource);
std::string_view to_string(DocumentType);
std::string_view to_string(ExtractMethod);

// Why a document was refused. Every code is final for this document (trying again does
// not help) except `timeout`, `cancelled` and `engine_unavailable`.
enum class ExtractErrorCode {
  empty_file,
  too_large,  // more bytes than max_bytes
  too_many_pages,
  unsupported_type,
  corrupt,  // of the announced type, but unreadable
  password_required,
  image_too_large,  // more pixels than are decoded
  image_too_small,
  decompression_bomb,  // unpacks to more than is read
  invalid_xml,         // an XML document that is no e-invoice we know, or holds a DTD
  unreadable_file,     // the path cannot be opened
  timeout,
  cancelled,
  engine_unavailable,  // the engines module is missing
  crashed,             // the process that read the document died
};
std::string_view to_string(ExtractErrorCode);
bool is_retryable(ExtractErrorCode);

struct ExtractError {
  ExtractErrorCode code = ExtractErrorCode::corrupt;
  std::string message;
};

template <class T>
using Extracted = tl::expected<T, ExtractError>;

struct ExtractOptions {
  bool ignore_embedded_xml = false;
  std::size_t max_bytes = 25u << 20;
  int max_pages = 50;
  std::chrono::milliseconds deadline{30'000};  // for the whole document, from the call on

  // Asked often, also from inside OCR; true ends the call with `cancelled`.
  std::function<bool()> cancelled;

  // stage is "detect", "xml", "text", "ocr" or "fields"; done of total pages or steps.
  std::function<void(std::string_view stage, int done, int total)> progress;
};

// Reads one document. Blocks; holds no state, so threads may call it at once. A deadline
// is kept to between steps and inside OCR; only a process limit bounds the inside of a
// PDF parser, and only a process of its own survives one that crashes.
Extracted<ExtractedInvoice> extract_document(std::string_view bytes, const ExtractOptions& options = {});
Extracted<ExtractedInvoice> extract_file(const std::string& path, const ExtractOptions& options = {});

}  // namespace celeriac
