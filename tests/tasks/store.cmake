# The store, its migrations and the two tasks on it, against a private PostgreSQL.
celeriac_test(store_migrate_test SOURCES store_migrate_test.cpp
              LIBS celeriac_store celeriac_postgres_server LABELS postgres TIMEOUT 300)
celeriac_test(store_schema_test SOURCES store_schema_test.cpp
              LIBS celeriac_invoices celeriac_postgres_server LABELS postgres TIMEOUT 300)
celeriac_test(store_database_test SOURCES store_database_test.cpp
              LIBS celeriac_store celeriac_postgres_server LABELS postgres TIMEOUT 300)
celeriac_test(store_storage_test SOURCES store_storage_test.cpp store_text_test.cpp LIBS celeriac_store)
celeriac_test(validation_rules_test SOURCES validation_rules_test.cpp LIBS celeriac_invoices)
celeriac_test(process_document_test SOURCES process_document_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server LABELS postgres TIMEOUT 300)
celeriac_test(process_crash_test SOURCES process_crash_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server LABELS postgres TIMEOUT 300)
celeriac_test(validation_invoice_test SOURCES validation_invoice_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server LABELS postgres TIMEOUT 300)
celeriac_test(export_test SOURCES export_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server LABELS postgres)
celeriac_test(maintenance_test SOURCES maintenance_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server LABELS postgres)
celeriac_test(dead_letters_test SOURCES dead_letters_test.cpp process_fixture.cpp
              LIBS celeriac_invoices celeriac_postgres_server LABELS postgres)

find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_executable(decimal_probe decimal_probe.cpp)
target_link_libraries(decimal_probe PRIVATE celeriac_invoices)
add_test(NAME validation_decimal_test
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/validation_decimal.py $<TARGET_FILE:decimal_probe>)
set_tests_properties(validation_decimal_test PROPERTIES TIMEOUT 300)
