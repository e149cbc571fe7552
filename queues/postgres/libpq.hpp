// The functions of libpq that are used here, opened when they are first needed.
#pragma once

#include "queues/lazy/shared_library.hpp"

#include <libpq-fe.h>

namespace celeriac::pg {

// clang-format off
#define CELERIAC_LIBPQ_FUNCTIONS(X) \
  X(PQcancel) X(PQclear) X(PQcmdTuples) X(PQconndefaults) X(PQconnectPoll) X(PQconnectStartParams) \
  X(PQconnectionNeedsPassword) X(PQconninfoFree) X(PQconsumeInput) X(PQenterPipelineMode) \
  X(PQerrorMessage) X(PQfinish) X(PQflush) X(PQfreeCancel) X(PQgetCancel) X(PQgetResult) X(PQgetisnull) \
  X(PQgetlength) X(PQgetvalue) X(PQisBusy) X(PQnfields) X(PQntuples) X(PQpipelineSync) \
  X(PQresultErrorField) X(PQresultErrorMessage) X(PQresultStatus) X(PQsendQueryParams) \
  X(PQsetErrorVerbosity) X(PQsetNoticeProcessor) X(PQsetnonblocking) X(PQsocket) X(PQstatus)
// clang-format on

struct Libpq {
  static constexpr const char* file = "libpq.so.5";
  static constexpr const char* package = "libpq5";

#define X(name) decltype(&::name) name = nullptr;
  CELERIAC_LIBPQ_FUNCTIONS(X)
#undef X

  void find_in(SharedLibrary& library) {
#define X(name) library.find(name, #name);
    CELERIAC_LIBPQ_FUNCTIONS(X)
#undef X
  }
};

// Only where load_functions<Libpq>() has succeeded before.
inline const Libpq& libpq() { return *load_functions<Libpq>(); }

#undef CELERIAC_LIBPQ_FUNCTIONS

}  // namespace celeriac::pg
