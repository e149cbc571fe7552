#include "worker/node_name.hpp"

#include <unistd.h>

#include <climits>

namespace celeriac {
namespace {

// Calls `value(letter, out)` for each %letter; unknown letters stay as they are.
template <class Value>
std::string expand(std::string_view format, Value value) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const char letter = format[++i];
    if (letter == '%')
      out += '%';
    else if (!value(letter, out))
      (out += '%') += letter;
  }
  return out;
}

std::string_view before(std::string_view text, char mark) { return text.substr(0, text.find(mark)); }
std::string_view after(std::string_view text, char mark) {
  const auto at = text.find(mark);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
}

}  // namespace

std::string expand_node_name(std::string_view format, std::string_view host) {
  std::string name = expand(format, [&](char letter, std::string& out) {
    switch (letter) {
      case 'h':
        out += host;
        return true;
      case 'n':
        out += before(host, '.');
        return true;
      case 'd':
        out += after(host, '.');
        return true;
      default:
        return false;
    }
  });
  if (name.find('@') == std::string::npos) (name += '@') += host;
  return name;
}

std::string expand_path(std::string_view format, std::string_view node, unsigned slot) {
  return expand(format, [&](char letter, std::string& out) {
    switch (letter) {
      case 'p':
        out += node;
        return true;
      case 'n':
        out += before(node, '@');
        return true;
      case 'h':
        out += after(node, '@');
        return true;
      case 'd':
        out += after(after(node, '@'), '.');
        return true;
      case 'i':
        out += std::to_string(slot);
        return true;
      case 'I':
        if (slot) (out += '-') += std::to_string(slot);
        return true;
      default:
        return false;
    }
  });
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

}  // namespace celeriac
