// Broker and result-store URLs, parsed once (by Boost.URL, nothing hand-made).
#pragma once

#include "protocol/error.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace celeriac {

struct Url {
  std::string scheme;          // "redis", "rediss", "redis+socket", "db+postgresql", ...
  std::string user, password;  // percent-decoded
  std::string host;
  std::uint16_t port = 0;  // 0: the scheme's default
  std::string path;        // percent-decoded, with its leading '/'
  std::map<std::string, std::string> query;
  std::string text;  // as given

  std::string display() const;  // text with the password replaced by **
};

Expected<Url> parse_url(std::string_view text);

}  // namespace celeriac
