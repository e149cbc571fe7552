// Finds and loads the engines module.
#include "tasks/engines/engines.hpp"

#include <dlfcn.h>
#include <cstdlib>
#include <filesystem>
#include <mutex>

namespace celeriac {
namespace {

namespace fs = std::filesystem;
constexpr const char* module_name = "celeriac_engines.so";

std::vector<fs::path> places() {
  if (const char* named = std::getenv("CELERIAC_ENGINES"); named && *named) return {named};
  std::error_code ignored;  // without /proc only the library path remains
  fs::path self = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  std::vector<fs::path> found{self / module_name, self.parent_path() / CELERIAC_LIBDIR / module_name,
                              self.parent_path() / "bin" / module_name};
  return found;
}

Extracted<Engines*> load() {
  ::setenv("OMP_THREAD_LIMIT", "1", 0);
  std::string tried;
  for (const fs::path& path : places()) {
    if (std::error_code ignored; !fs::exists(path, ignored)) {
      tried += (tried.empty() ? "" : ", ") + path.string();
      continue;
    }
    void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!module) return tl::unexpected(ExtractError{ExtractErrorCode::engine_unavailable, ::dlerror()});
    auto make = reinterpret_cast<Engines* (*)()>(::dlsym(module, "celeriac_make_engines"));
    if (!make)
      return tl::unexpected(
          ExtractError{ExtractErrorCode::engine_unavailable, path.string() + " is not an engines module"});
    static std::unique_ptr<Engines> engines(make());  // ended before the module's own globals
    return engines.get();
  }
  return tl::unexpected(
      ExtractError{ExtractErrorCode::engine_unavailable, "no engines module; looked for " + tried});
}

}  // namespace

Extracted<Engines*> load_engines() {
  static std::mutex mutex;
  static Engines* loaded = nullptr;
  std::lock_guard lock(mutex);
  if (loaded) return loaded;
  auto result = load();
  if (result) loaded = *result;
  return result;
}

}  // namespace celeriac
