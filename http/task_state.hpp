// What a caller is shown of a task.
#pragma once

#include "http/submissions.hpp"

#include <string>

namespace celeriac::http {

Json task_links(const std::string& id);

// `meta` is the stored result, null when there is none. QUEUED: not yet sent; PENDING: sent, and nothing is
// stored of it; else the stored state.
Json state_document(const std::string& id, const Known& known, const Json* meta);

}  // namespace celeriac::http
