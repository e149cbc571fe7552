// Libraries that are opened when they are first needed. libpq alone brings Kerberos, LDAP and GnuTLS into the
// process, some 3 MiB, which a worker whose results are in Redis never uses.
#pragma once

#include "protocol/error.hpp"

#include <string>

namespace celeriac {

class SharedLibrary {
 public:
  // `file` as the loader finds it ("libpq.so.5"), `package` that Debian has it in. It stays open until the
  // process ends. The Error says what is to be installed.
  static Expected<SharedLibrary> open(const char* file, const char* package);

  // Sets `function` to the function of that name. Keeps the first name that is missing.
  template <class Function>
  void find(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(address(name));
  }
  const std::string& missing() const { return missing_; }

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* address(const char* name);

  void* handle_;
  std::string missing_;
};

// A struct of function pointers, filled by `Functions::find_in(SharedLibrary&)`. Loaded once; threads may ask
// at the same time.
template <class Functions>
const Expected<Functions>& load_functions() {
  static const Expected<Functions> loaded = []() -> Expected<Functions> {
    auto library = SharedLibrary::open(Functions::file, Functions::package);
    if (!library) return tl::unexpected(library.error());
    Functions functions;
    functions.find_in(*library);
    if (!library->missing().empty())
      return unexpected(std::string(Functions::file) + " has no function " + library->missing());
    return functions;
  }();
  return loaded;
}

}  // namespace celeriac
