// RFC 4648 base64 with padding.
#pragma once

#include "protocol/error.hpp"

#include <string>
#include <string_view>

namespace celeriac {

std::string base64_encode(std::string_view bytes);
void base64_encode(std::string_view bytes, std::string& out);
Expected<std::string> base64_decode(
    std::string_view text);  // whitespace is skipped, anything else foreign is an error

}  // namespace celeriac
