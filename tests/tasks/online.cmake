# What talks to other servers: the HTTP engine, llm_processing, email_processing.
add_library(celeriac_scripted_server STATIC scripted_server.cpp)
target_link_libraries(celeriac_scripted_server PUBLIC celeriac_options Threads::Threads)

celeriac_test(engines_http_test SOURCES engines_http_test.cpp circuit_breaker_test.cpp
              LIBS celeriac_invoices celeriac_scripted_server)
celeriac_test(export_delivery_test SOURCES export_delivery_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server celeriac_scripted_server LABELS postgres)
celeriac_test(store_s3_test SOURCES store_s3_test.cpp LIBS celeriac_invoices celeriac_scripted_server)
# The same with a real server, which scripts/s3_server.sh builds where Go is installed.
add_test(NAME store_s3_server_test COMMAND ${PROJECT_SOURCE_DIR}/scripts/s3_server.sh ${PROJECT_SOURCE_DIR}/build/s3
  $<TARGET_FILE:store_s3_test> --test-suite=server)
set_tests_properties(store_s3_test store_s3_server_test PROPERTIES ENVIRONMENT "${engines_environment}")
set_tests_properties(store_s3_server_test PROPERTIES LABELS on-demand TIMEOUT 1200 SKIP_RETURN_CODE 77)
celeriac_test(virus_scan_test SOURCES virus_scan_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server LABELS postgres)
celeriac_test(llm_decisions_test SOURCES llm_provider_test.cpp llm_patch_test.cpp LIBS celeriac_invoices)
celeriac_test(llm_processing_test SOURCES llm_processing_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server celeriac_scripted_server LABELS postgres TIMEOUT 180)
set_tests_properties(engines_http_test export_delivery_test llm_processing_test PROPERTIES ENVIRONMENT "${engines_environment}")

celeriac_test(email_decisions_test SOURCES email_decisions_test.cpp shared_breakers_test.cpp
              LIBS celeriac_invoices celeriac_test_redis LABELS redis)
celeriac_test(email_processing_test SOURCES email_processing_test.cpp dovecot_server.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server celeriac_test_redis celeriac_scripted_server
              LABELS postgres TIMEOUT 240)
set_tests_properties(email_decisions_test email_processing_test PROPERTIES ENVIRONMENT "${engines_environment}")

find_program(DEBIAN_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
add_test(NAME llm_concurrency_test
  COMMAND ${DEBIAN_PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/llm_concurrency.py $<TARGET_FILE:celeriac> --calls 250)
set_tests_properties(llm_concurrency_test PROPERTIES ENVIRONMENT "${engines_environment}" TIMEOUT 400 LABELS "interop;postgres")
