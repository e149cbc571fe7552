// Names of the vocabulary in invoice.hpp.
#include "tasks/extraction/invoice.hpp"

namespace celeriac {

std::span<const HeaderField> header_fields() {
  using I = ExtractedInvoice;
  static constexpr HeaderField fields[] = {
      {"invoice_number", &I::invoice_number},
      {"invoice_date", &I::invoice_date},
      {"due_date", &I::due_date},
      {"delivery_date", &I::delivery_date},
      {"currency", &I::currency},
      {"seller_name", &I::seller_name},
      {"seller_vat_id", &I::seller_vat_id},
      {"seller_address", &I::seller_address},
      {"buyer_name", &I::buyer_name},
      {"buyer_vat_id", &I::buyer_vat_id},
      {"buyer_address", &I::buyer_address},
      {"po_number", &I::po_number},
      {"iban", &I::iban},
      {"subtotal", &I::subtotal},
      {"tax_amount", &I::tax_amount},
      {"total_amount", &I::total_amount},
      {"amount_due", &I::amount_due},
  };
  return fields;
}

std::span<const ItemField> item_fields() {
  using L = LineItem;
  static constexpr ItemField fields[] = {
      {"description", &L::description}, {"quantity", &L::quantity}, {"unit", &L::unit},
      {"unit_price", &L::unit_price},   {"tax_rate", &L::tax_rate}, {"line_total", &L::line_total},
  };
  return fields;
}

std::string_view to_string(FieldSource source) {
  switch (source) {
    case FieldSource::xml:
      return "xml";
    case FieldSource::text:
      return "text";
    case FieldSource::ocr:
      return "ocr";
    case FieldSource::none:
      break;
  }
  return "none";
}

std::string_view to_string(DocumentType type) {
  switch (type) {
    case DocumentType::invoice:
      return "invoice";
    case DocumentType::credit_note:
      return "credit_note";
    case DocumentType::other:
      break;
  }
  return "other";
}

std::string_view to_string(ExtractMethod method) {
  switch (method) {
    case ExtractMethod::xml:
      return "xml";
    case ExtractMethod::text:
      return "text";
    case ExtractMethod::ocr:
      return "ocr";
    case ExtractMethod::none:
      break;
  }
  return "none";
}

std::string_view to_string(ExtractErrorCode code) {
  switch (code) {
    case ExtractErrorCode::empty_file:
      return "empty_file";
    case ExtractErrorCode::too_large:
      return "too_large";
    case ExtractErrorCode::too_many_pages:
      return "too_many_pages";
    case ExtractErrorCode::unsupported_type:
      return "unsupported_type";
    case ExtractErrorCode::corrupt:
      return "corrupt";
    case ExtractErrorCode::password_required:
      return "password_required";
    case ExtractErrorCode::image_too_large:
      return "image_too_large";
    case ExtractErrorCode::image_too_small:
      return "image_too_small";
    case ExtractErrorCode::decompression_bomb:
      return "decompression_bomb";
    case ExtractErrorCode::invalid_xml:
      return "invalid_xml";
    case ExtractErrorCode::unreadable_file:
      return "unreadable_file";
    case ExtractErrorCode::timeout:
      return "timeout";
    case ExtractErrorCode::cancelled:
      return "cancelled";
    case ExtractErrorCode::engine_unavailable:
      return "engine_unavailable";
    case ExtractErrorCode::crashed:
      return "crashed";
  }
  return "corrupt";
}

bool is_retryable(ExtractErrorCode code) {
  return code == ExtractErrorCode::timeout || code == ExtractErrorCode::cancelled ||
         code == ExtractErrorCode::engine_unavailable;
}

}  // namespace celeriac
