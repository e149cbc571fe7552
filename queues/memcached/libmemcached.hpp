// The functions of libmemcached that are used here, opened when they are first needed.
#pragma once

#include "queues/lazy/shared_library.hpp"

#include <libmemcached/memcached.h>

namespace celeriac {

// clang-format off
#define CELERIAC_LIBMEMCACHED_FUNCTIONS(X) \
  X(memcached_add) X(memcached_behavior_set) X(memcached_cas) X(memcached_create) X(memcached_delete) \
  X(memcached_fetch_result) X(memcached_free) X(memcached_last_error_message) X(memcached_mget) \
  X(memcached_result_cas) X(memcached_result_free) X(memcached_result_length) X(memcached_result_value) \
  X(memcached_server_add) X(memcached_server_add_unix_socket) X(memcached_strerror) X(memcached_version)
// clang-format on

struct Libmemcached {
  static constexpr const char* file = "libmemcached.so.11";
  static constexpr const char* package = "libmemcached11";

#define X(name) decltype(&::name) name = nullptr;
  CELERIAC_LIBMEMCACHED_FUNCTIONS(X)
#undef X

  void find_in(SharedLibrary& library) {
#define X(name) library.find(name, #name);
    CELERIAC_LIBMEMCACHED_FUNCTIONS(X)
#undef X
  }
};

// Only where load_functions<Libmemcached>() has succeeded before.
inline const Libmemcached& libmemcached() { return *load_functions<Libmemcached>(); }

#undef CELERIAC_LIBMEMCACHED_FUNCTIONS

}  // namespace celeriac
