#include "queues/lazy/shared_library.hpp"

#include <dlfcn.h>

namespace celeriac {

Expected<SharedLibrary> SharedLibrary::open(const char* file, const char* package) {
  void* handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return unexpected(std::string(dlerror()) + ". Install the package " + package + " for what needs it.");
  return SharedLibrary(handle);
}

void* SharedLibrary::address(const char* name) {
  void* found = dlsym(handle_, name);
  if (!found && missing_.empty()) missing_ = name;
  return found;
}

}  // namespace celeriac
