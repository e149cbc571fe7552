#include "tasks/engines/load_module.hpp"

#include <dlfcn.h>
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace celeriac {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> places(const std::string& file) {
  if (const char* named = std::getenv("CELERIAC_ENGINES"); named && *named) {
    const fs::path path(named);
    return {path.filename() == file ? path : path.parent_path() / file};
  }
  std::error_code ignored;  // without /proc only the library path remains
  const fs::path self = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  return {self / file, self.parent_path() / CELERIAC_LIBDIR / file, self.parent_path() / "bin" / file};
}

}  // namespace

Expected<void*> load_module(const std::string& file, const char* symbol) {
  std::string tried;
  for (const fs::path& path : places(file)) {
    if (std::error_code ignored; !fs::exists(path, ignored)) {
      tried += (tried.empty() ? "" : ", ") + path.string();
      continue;
    }
    void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!module) return unexpected(::dlerror());
    if (void* found = ::dlsym(module, symbol)) return found;
    return unexpected(path.string() + " is not the module it should be");
  }
  return unexpected("no module " + file + "; looked for " + tried);
}

}  // namespace celeriac
