# celeriac_store: PostgreSQL, migrations and document storage. Needs no worker and no engine.
set(migrations_cpp ${CMAKE_CURRENT_BINARY_DIR}/migrations.cpp)
file(GLOB migration_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/../migrations/*.sql)
add_custom_command(
  OUTPUT ${migrations_cpp}
  COMMAND ${CMAKE_COMMAND} -DSOURCES=${CMAKE_CURRENT_SOURCE_DIR}/migrations -DOUTPUT=${migrations_cpp}
          -P ${CMAKE_CURRENT_LIST_DIR}/embed_migrations.cmake
  DEPENDS ${migration_files} ${CMAKE_CURRENT_LIST_DIR}/embed_migrations.cmake
  VERBATIM)

add_library(celeriac_store STATIC)
target_sources(celeriac_store PRIVATE
  store/audit.cpp store/database.cpp store/digest.cpp store/local_storage.cpp store/migrate.cpp
  store/text_values.cpp ${migrations_cpp})
target_link_libraries(celeriac_store
  PUBLIC celeriac_options celeriac_protocol
  PRIVATE PostgreSQL::PostgreSQL OpenSSL::Crypto)

# celeriac_invoices: the tasks of the queues invoice_processing and validation, and register_all().
add_library(celeriac_invoices STATIC)
target_sources(celeriac_invoices PRIVATE
  register.cpp
  invoice_processing/failure.cpp invoice_processing/invoice_writer.cpp invoice_processing/job_row.cpp
  invoice_processing/process_document.cpp invoice_processing/register.cpp
  store/slot_database.cpp
  validation/decimal.cpp validation/register.cpp validation/rules.cpp validation/status.cpp
  validation/validate_invoice.cpp)
target_link_libraries(celeriac_invoices
  PUBLIC celeriac_app celeriac_store celeriac_config celeriac_tasks
  PRIVATE Boost::headers)
