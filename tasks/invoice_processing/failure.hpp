// Failures of reading a document, as exception types that clients and operators see.
#pragma once

#include "tasks/extraction/invoice.hpp"
#include "tasks/store/storage.hpp"
#include "worker/errors.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

TaskError document_error(const ExtractError& error);
TaskError document_error(const StorageError& error);

// Types for which another attempt may succeed; the task retries them.
const std::vector<std::string>& passing_failures();

// Types that are the document's fault: logged without a traceback.
const std::vector<std::string>& document_failures();

}  // namespace celeriac
