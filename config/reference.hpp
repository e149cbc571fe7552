// The reference page of settings, written from the table.
#pragma once

#include <string>

namespace celeriac {

std::string settings_markdown();  // docs/settings.md
std::string settings_text();      // for a terminal: name, type, default, meaning
std::string settings_json();      // one object a setting

}  // namespace celeriac
