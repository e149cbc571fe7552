#include "worker/pidfile.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using celeriac::Pidfile;
namespace fs = std::filesystem;

TEST_CASE("a pidfile is exclusive while its process lives") {
  const std::string path = fs::temp_directory_path() / ("celeriac-pidfile-" + std::to_string(::getpid()));
  {
    const auto held = Pidfile::create(path);
    REQUIRE(held);
    std::ifstream in(path);
    pid_t pid = 0;
    in >> pid;
    CHECK(pid == ::getpid());
  }
  CHECK_FALSE(fs::exists(path));

  std::ofstream(path) << "1\n";  // init lives
  const auto refused = Pidfile::create(path);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().what.find("already exists") != std::string::npos);

  std::ofstream(path) << "999999999\n";
  CHECK(Pidfile::create(path));
  CHECK_FALSE(fs::exists(path));
}
