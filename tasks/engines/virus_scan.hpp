// What clamd says of a document.
#pragma once

#include "protocol/error.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace celeriac {

// `url`: "clamd://host:port" (3310 when left out) or "unix:/path" of its socket. Blocks until the answer or
// `patience`. Nothing: clean. A value: the name of what was found. The Error: no answer, or one that is none
// (larger than clamd's StreamMaxLength, for instance): the document was not judged.
Expected<std::optional<std::string>> scan_for_viruses(const std::string& url, std::string_view bytes,
                                                      std::chrono::seconds patience);

}  // namespace celeriac
