// A property that has to hold for every input; the fuzzer keeps what breaks it.
#pragma once

#include <cstdio>
#include <cstdlib>

inline void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken property: %s\n", what);
  std::abort();
}
