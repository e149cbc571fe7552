#include "config/toml_file.hpp"

#include <toml++/toml.h>
#include <fstream>
#include <sstream>

namespace celeriac {
namespace {

constexpr std::size_t max_file = 4u << 20;  // bytes

struct Reader {
  const std::string& path;
  TomlFile& out;

  // Depth is bounded by toml++ itself (256 levels).
  Expected<Json> convert(const toml::node& node, const std::string& key) {
    if (auto* table = node.as_table()) {
      Json object = Json::object();
      for (const auto& [name, child] : *table) {
        std::string text(name.str());
        std::string dotted = key.empty() ? text : key + "." + text;
        out.lines[dotted] = name.source().begin.line;
        auto value = convert(child, dotted);
        if (!value) return value;
        object[text] = std::move(*value);
      }
      return object;
    }
    if (auto* array = node.as_array()) {
      Json list = Json::array();
      for (const auto& child : *array) {
        auto value = convert(child, key);
        if (!value) return value;
        list.push_back(std::move(*value));
      }
      return list;
    }
    if (auto* value = node.as_string()) return Json(value->get());
    if (auto* value = node.as_integer()) return Json(value->get());
    if (auto* value = node.as_floating_point()) return Json(value->get());
    if (auto* value = node.as_boolean()) return Json(value->get());
    return unexpected(path + ":" + std::to_string(node.source().begin.line) + ": " + key +
                      ": dates and times have no meaning here");
  }
};

}  // namespace

unsigned TomlFile::line_of(std::string key) const {
  for (;;) {
    if (auto found = lines.find(key); found != lines.end()) return found->second;
    auto dot = key.rfind('.');
    if (dot == std::string::npos) return 0;
    key.resize(dot);
  }
}

Expected<TomlFile> read_toml_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return unexpected(path + ": cannot be read");
  std::string text(max_file + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return unexpected(path + ": cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > max_file) return unexpected(path + ": larger than 4 MiB");
  TomlFile out;
  try {
    auto table = toml::parse(text, path);
    auto values = Reader{path, out}.convert(table, "");
    if (!values) return tl::unexpected(values.error());
    out.values = std::move(*values);
  } catch (const toml::parse_error& error) {
    return unexpected(path + ":" + std::to_string(error.source().begin.line) + ": " +
                      std::string(error.description()));
  }
  return out;
}

}  // namespace celeriac
