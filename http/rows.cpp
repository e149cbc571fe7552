#include "http/rows.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace celeriac::http {

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !std::isxdigit(static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

int number(const std::map<std::string, std::string>& query, const char* name, int otherwise, int most) {
  const auto found = query.find(name);
  if (found == query.end()) return otherwise;
  int value = otherwise;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return std::clamp(value, 1, most);
}

std::string owned_by(const Caller& caller, const char* column) {
  return caller.admin() ? "($1::uuid IS NOT NULL)" : "(" + std::string(column) + " = $1::uuid)";
}

Response as_it_is(std::string body) {
  Response response;
  response.body = std::move(body) + "\n";
  return response;
}

Response one_row(const Rows& rows, const char* what) {
  if (rows.empty()) return problem(404, "unknown-id", std::string("There is no such ") + what);
  return as_it_is(rows.str(0, 0));
}

}  // namespace celeriac::http
