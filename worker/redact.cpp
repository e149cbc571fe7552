// Which parts of a log line are secrets.
#include "worker/logging.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace celeriac {
namespace {

constexpr std::string_view blank = "********";
constexpr std::array<std::string_view, 9> secret_keys = {"password",      "passwd",     "secret",
                                                         "token",         "api_key",    "apikey",
                                                         "authorization", "access_key", "private_key"};

bool same_letter(char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; }

// "scheme://user:password@": blanks what is between the second ':' and the last '@' before a space.
bool redact_url(std::string& text, std::size_t scheme_end) {
  const std::size_t start = scheme_end + 3;
  const std::size_t end = std::min(text.find_first_of(" \t\r\n'\"/?#", start), text.size());
  const std::size_t at = text.rfind('@', end);
  if (at == std::string::npos || at < start || at >= end) return false;
  const std::size_t colon = text.find(':', start);
  if (colon == std::string::npos || colon >= at) return false;
  text.replace(colon + 1, at - colon - 1, "**");
  return true;
}

bool word_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// After a secret key: `': 'value'`, `": "value"`, `=value`. Blanks the value.
bool redact_value(std::string& text, std::size_t key_end) {
  std::size_t i = key_end;
  while (i < text.size() && word_character(text[i])) ++i;  // token_id, passwords: better one too many
  if (i < text.size() && (text[i] == '\'' || text[i] == '"')) ++i;
  if (i >= text.size() || (text[i] != ':' && text[i] != '=')) return false;
  ++i;
  while (i < text.size() && text[i] == ' ') ++i;
  if (i >= text.size()) return false;
  std::size_t end;
  if (const char quote = text[i]; quote == '\'' || quote == '"') {
    end = ++i;
    while (end < text.size() && text[end] != quote) end += text[end] == '\\' ? 2 : 1;
    end = std::min(end, text.size());
  } else {
    end = std::min(text.find_first_of(" ,}])\n&", i), text.size());
    if (text.compare(i, end - i, "None") == 0 || text.compare(i, end - i, "null") == 0) return false;
  }
  if (end == i || text.compare(i, end - i, blank) == 0) return false;
  text.replace(i, end - i, blank);
  return true;
}

}  // namespace

bool redact(std::string& text) {
  bool changed = false;
  for (auto at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    changed |= redact_url(text, at);
  }
  for (const auto key : secret_keys) {
    auto from = text.begin();
    while (true) {
      const auto found = std::search(from, text.end(), key.begin(), key.end(), same_letter);
      if (found == text.end()) break;
      const auto end = static_cast<std::size_t>(found - text.begin()) + key.size();
      changed |= redact_value(text, end);
      from = text.begin() + static_cast<std::ptrdiff_t>(end);
    }
  }
  return changed;
}

}  // namespace celeriac
