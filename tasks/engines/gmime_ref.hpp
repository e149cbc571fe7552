// Owns a reference to an object of GMime or GLib. Only celeriac_mime.so includes this.
#pragma once

#include <gmime/gmime.h>

#include <memory>

namespace celeriac {

struct Unref {
  void operator()(gpointer object) const noexcept { g_object_unref(object); }
};
template <class T>
using Ref = std::unique_ptr<T, Unref>;

}  // namespace celeriac
