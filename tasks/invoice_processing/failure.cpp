#include "tasks/invoice_processing/failure.hpp"

#include "tasks/store/slot_database.hpp"

namespace celeriac {
namespace {

std::string type_of(ExtractErrorCode code) {
  switch (code) {
    case ExtractErrorCode::empty_file:
      return "EmptyDocument";
    case ExtractErrorCode::too_large:
      return "DocumentTooLarge";
    case ExtractErrorCode::too_many_pages:
      return "TooManyPages";
    case ExtractErrorCode::unsupported_type:
      return "UnsupportedDocument";
    case ExtractErrorCode::corrupt:
    case ExtractErrorCode::unreadable_file:
      return "CorruptDocument";
    case ExtractErrorCode::password_required:
      return "EncryptedDocument";
    case ExtractErrorCode::image_too_large:
      return "ImageTooLarge";
    case ExtractErrorCode::image_too_small:
      return "ImageTooSmall";
    case ExtractErrorCode::decompression_bomb:
      return "DecompressionBomb";
    case ExtractErrorCode::invalid_xml:
      return "InvalidInvoiceXml";
    case ExtractErrorCode::crashed:
      return "DocumentCrashesReader";
    case ExtractErrorCode::timeout:
    case ExtractErrorCode::cancelled:
      return "DocumentTimeout";
    case ExtractErrorCode::engine_unavailable:
      return "EngineUnavailable";
  }
  return "CorruptDocument";
}

std::string type_of(StorageFailure failure) {
  switch (failure) {
    case StorageFailure::not_found:
      return "DocumentNotFound";
    case StorageFailure::refused:
      return "SourceRefused";
    case StorageFailure::too_large:
      return "DocumentTooLarge";
    case StorageFailure::io:
      return "StorageUnavailable";
  }
  return "StorageUnavailable";
}

}  // namespace

TaskError document_error(const ExtractError& error) {
  return invoice_error(type_of(error.code), error.message);
}
TaskError document_error(const StorageError& error) {
  return invoice_error(type_of(error.kind), error.what());
}

const std::vector<std::string>& passing_failures() {
  static const std::vector<std::string> types = {"OperationalError", "StorageUnavailable",
                                                 "EngineUnavailable", "VirusScanUnavailable",
                                                 "DocumentTimeout"};
  return types;
}

const std::vector<std::string>& document_failures() {
  static const std::vector<std::string> types = {
      "EmptyDocument",     "DocumentTooLarge",      "TooManyPages",     "UnsupportedDocument",
      "CorruptDocument",   "EncryptedDocument",     "ImageTooLarge",    "ImageTooSmall",
      "DecompressionBomb", "InvalidInvoiceXml",     "DocumentNotFound", "SourceRefused",
      "TooManyLineItems",  "DocumentCrashesReader", "InfectedDocument", "InvoiceNotEditable"};
  return types;
}

}  // namespace celeriac
