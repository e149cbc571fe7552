#include "config/reference.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <iterator>

TEST_CASE("the committed reference page is the generated one") {
  std::ifstream file(CELERIAC_SOURCE_DIR "/docs/settings.md");
  std::string committed{std::istreambuf_iterator<char>(file), {}};
  // Otherwise: celeriac settings --markdown > docs/settings.md
  CHECK(committed == celeriac::settings_markdown());
}
