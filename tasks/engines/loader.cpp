// Loads the engines module.
#include "tasks/engines/engines.hpp"
#include "tasks/engines/load_module.hpp"

#include <cstdlib>
#include <mutex>

namespace celeriac {
namespace {

Extracted<Engines*> load() {
  ::setenv("OMP_THREAD_LIMIT", "1", 0);
  const auto make = load_module("celeriac_engines.so", "celeriac_make_engines");
  if (!make) return tl::unexpected(ExtractError{ExtractErrorCode::engine_unavailable, make.error().what});
  // Ended before the module's own globals.
  static std::unique_ptr<Engines> engines(reinterpret_cast<Engines* (*)()>(*make)());
  return engines.get();
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
