#include "tasks/register.hpp"

#include "tasks/extraction/invoice.hpp"
#include "tasks/invoice_processing/process_document.hpp"
#include "tasks/validation/validate_invoice.hpp"

namespace celeriac {

void register_all(App& app, const Settings& settings) {
  ProcessingConfig processing;
  processing.database_url = settings.database_url;
  processing.storage_root = settings.storage_root;
  processing.extract = extract_document;
  register_invoice_processing(app, processing);
  register_validation(app, {settings.database_url});
}

}  // namespace celeriac
