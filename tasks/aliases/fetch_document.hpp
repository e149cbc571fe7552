// A document that a message names by its address instead of bringing it.
#pragma once

#include "tasks/invoice_processing/process_document.hpp"
#include "worker/context.hpp"

#include <string>
#include <vector>

namespace celeriac {

// GETs an http:// or https:// URL: max_bytes and half of the soft limit at most, redirects are answers like
// others. An address that is not of the public internet is refused unless `hosts` names the URL's host ("*"
// is any): who writes messages must not see what only this machine can reach. Throws TaskError:
// SourceRefused, DocumentNotFound (404, 410), DocumentTooLarge, StorageUnavailable (no answer, 408, 429,
// 5xx). No message holds the URL's query.
std::string fetch_document(Context& context, const ProcessingConfig& config,
                           const std::vector<std::string>& hosts, const std::string& url);

}  // namespace celeriac
