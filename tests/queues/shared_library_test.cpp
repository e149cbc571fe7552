#include "queues/lazy/shared_library.hpp"

#include <doctest/doctest.h>
#include <zlib.h>

using namespace celeriac;

namespace {

struct Zlib {
  static constexpr const char* file = "libz.so.1";
  static constexpr const char* package = "zlib1g";
  decltype(&::crc32) crc32 = nullptr;
  void find_in(SharedLibrary& library) { library.find(crc32, "crc32"); }
};

struct Nowhere : Zlib {
  static constexpr const char* file = "libnowhere.so.7";
  static constexpr const char* package = "libnowhere7";
};

struct Lacking : Zlib {
  void find_in(SharedLibrary& library) { library.find(crc32, "no_such_function"); }
};

}  // namespace

TEST_CASE("functions of a library that is opened when asked for") {
  const auto& loaded = load_functions<Zlib>();
  REQUIRE(loaded);
  CHECK(loaded->crc32(0, reinterpret_cast<const Bytef*>("123456789"), 9) == 0xcbf43926);
}

TEST_CASE("an error names the file and what is to be installed") {
  const auto& loaded = load_functions<Nowhere>();
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().what.find("libnowhere.so.7") != std::string::npos);
  CHECK(loaded.error().what.find("libnowhere7") != std::string::npos);
}

TEST_CASE("an older library that lacks a function is refused") {
  const auto& loaded = load_functions<Lacking>();
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().what == "libz.so.1 has no function no_such_function");
}
