// celeriac(1): the help pages as one manual page, in the man macros that groff and mandoc read.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace celeriac {

struct HelpPage {
  std::string name;  // of the command; empty: the program itself
  std::string text;  // as --help prints it
};

// The program's own page comes first.
void write_manual_page(std::ostream& out, const std::vector<HelpPage>& pages, const std::string& version);

}  // namespace celeriac
