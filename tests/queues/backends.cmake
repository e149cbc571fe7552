# Result stores, and a private PostgreSQL server, also for tests elsewhere that need one.
add_library(celeriac_postgres_server STATIC ${CMAKE_CURRENT_LIST_DIR}/postgres_server.cpp)
target_link_libraries(celeriac_postgres_server PUBLIC celeriac_options PRIVATE PostgreSQL::PostgreSQL)

# The contract of queues/result_backend.hpp, to be run against each store.
add_library(celeriac_backend_conformance STATIC ${CMAKE_CURRENT_LIST_DIR}/backend_conformance.cpp)
target_link_libraries(celeriac_backend_conformance PUBLIC celeriac_queues doctest::doctest)

celeriac_test(redis_backend_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/redis_backend_test.cpp
  LIBS celeriac_backend_conformance celeriac_queues celeriac_test_redis LABELS redis TIMEOUT 300)
celeriac_test(postgres_connection_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/postgres_connection_test.cpp
  LIBS celeriac_queues celeriac_postgres_server LABELS postgres threads TIMEOUT 300)
celeriac_test(postgres_backend_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/postgres_backend_test.cpp
  LIBS celeriac_backend_conformance celeriac_queues celeriac_postgres_server LABELS postgres TIMEOUT 300)
celeriac_test(multi_backend_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/multi_backend_test.cpp
  LIBS celeriac_backend_conformance celeriac_queues celeriac_test_redis celeriac_postgres_server
  LABELS redis postgres threads TIMEOUT 300)
celeriac_test(django_backend_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/django_backend_test.cpp
  LIBS celeriac_backend_conformance celeriac_queues celeriac_postgres_server LABELS postgres interop threads TIMEOUT 300)
set_tests_properties(django_backend_test PROPERTIES SKIP_REGULAR_EXPRESSION "no Django, not tried")
celeriac_test(sqlite_backend_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/sqlite_backend_test.cpp
  LIBS celeriac_backend_conformance celeriac_queues PkgConfig::sqlite3 TIMEOUT 240)
celeriac_test(file_backend_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/file_backend_test.cpp
  LIBS celeriac_backend_conformance celeriac_queues TIMEOUT 240)
# In memory: the contract is tried here, with its ten thousands of syncs, not the disk.
set_tests_properties(sqlite_backend_test file_backend_test PROPERTIES ENVIRONMENT "TMPDIR=/dev/shm")
celeriac_test(memcached_backend_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/memcached_backend_test.cpp ${CMAKE_CURRENT_LIST_DIR}/memcached_server.cpp
          ${CMAKE_CURRENT_LIST_DIR}/cutting_proxy.cpp
  LIBS celeriac_backend_conformance celeriac_queues LABELS memcached TIMEOUT 240)

# Read back by real Celery: Debian's 5.2, and 5.6 when CELERIAC_CELERY56_PYTHON names a Python that has it.
# A fifth of what it does when called without a count.
add_executable(backend_readback ${CMAKE_CURRENT_LIST_DIR}/backend_readback.cpp
                                ${CMAKE_CURRENT_LIST_DIR}/memcached_server.cpp)
target_compile_definitions(backend_readback PRIVATE CELERIAC_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(backend_readback PRIVATE celeriac_queues celeriac_test_redis celeriac_postgres_server)
add_test(NAME backend_readback_celery52 COMMAND backend_readback /usr/bin/python3 2000)
add_test(NAME backend_readback_celery56 COMMAND sh -c "exec \"$1\" \"$CELERIAC_CELERY56_PYTHON\" 2000" sh
         $<TARGET_FILE:backend_readback>)
set_tests_properties(backend_readback_celery52 backend_readback_celery56 PROPERTIES
  LABELS "redis;postgres;interop" TIMEOUT 300 SKIP_RETURN_CODE 77)

# Not a test: how many results a second a store takes (docs/results.md).
add_executable(backend_bench EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/backend_bench.cpp)
target_link_libraries(backend_bench PRIVATE celeriac_queues celeriac_test_redis celeriac_postgres_server PostgreSQL::PostgreSQL)
