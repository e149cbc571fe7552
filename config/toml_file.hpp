// A TOML file as a Json object, with the line of every key.
#pragma once

#include "protocol/json.hpp"

#include <map>
#include <string>

namespace celeriac {

struct TomlFile {
  Json values = Json::object();
  std::map<std::string, unsigned> lines;  // by dotted key

  // The line of the key, or of the nearest table around it; 0 when unknown.
  unsigned line_of(std::string key) const;
};

// The Error begins with "file:line:".
Expected<TomlFile> read_toml_file(const std::string& path);

}  // namespace celeriac
