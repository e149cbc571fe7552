# Tests of the consumer and its decisions; included by CMakeLists.txt.
celeriac_test(worker_decisions_test
  SOURCES settle_test.cpp prefetch_test.cpp rate_limit_test.cpp revoked_test.cpp shutdown_test.cpp stall_test.cpp
          node_name_test.cpp routes_test.cpp request_test.cpp log_format_test.cpp redact_test.cpp pidfile_test.cpp
  LIBS celeriac_worker spdlog::spdlog)
