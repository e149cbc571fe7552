# celeriac_store: PostgreSQL, migrations and document storage. Needs no worker, and of the engines only
# HTTP, for a bucket.
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
  store/audit.cpp store/clock.cpp store/database.cpp store/digest.cpp store/local_storage.cpp store/migrate.cpp store/object_key.cpp
  store/outbox.cpp store/s3_signature.cpp store/s3_storage.cpp store/text_values.cpp ${migrations_cpp})
target_link_libraries(celeriac_store
  PUBLIC celeriac_options celeriac_protocol
  PRIVATE PostgreSQL::PostgreSQL OpenSSL::Crypto celeriac_tasks Boost::headers PkgConfig::pugixml)

# celeriac_invoices: the tasks of the queues invoice_processing and validation, and register_all().
pkg_check_modules(xlsxwriter REQUIRED IMPORTED_TARGET xlsxwriter)
add_library(celeriac_invoices STATIC)
target_sources(celeriac_invoices PRIVATE
  register.cpp engines/redis.cpp engines/shared_breakers.cpp
  aliases/ap_email.cpp aliases/ap_ingestion.cpp aliases/ap_intake.cpp aliases/ap_outside.cpp aliases/doxin.cpp
  aliases/fetch_document.cpp aliases/options.cpp aliases/websocket_events.cpp
  dead_letters/classify.cpp dead_letters/record.cpp dead_letters/redrive.cpp dead_letters/register.cpp
  export/csv.cpp export/delivery.cpp export/erp.cpp export/export_invoice.cpp export/export_job.cpp export/fields.cpp
  export/quickbooks.cpp export/quickbooks_connection.cpp export/quickbooks_webhook.cpp export/register.cpp
  export/selection.cpp export/template.cpp export/text_writers.cpp export/writer.cpp export/xlsx_writer.cpp
  invoice_processing/failure.cpp invoice_processing/invoice_writer.cpp invoice_processing/job_row.cpp
  invoice_processing/process_document.cpp invoice_processing/register.cpp
  maintenance/cleanup.cpp maintenance/follow_up.cpp maintenance/register.cpp maintenance/report.cpp
  maintenance/report_mail.cpp maintenance/reports.cpp
  maintenance/service_levels.cpp maintenance/state.cpp
  store/slot_database.cpp
  validation/approvals.cpp validation/checks_amounts.cpp validation/checks_fields.cpp
  validation/checks_matching.cpp validation/checks_vendor.cpp validation/collect_facts.cpp
  validation/decimal.cpp validation/exceptions.cpp validation/register.cpp validation/rules.cpp
  validation/rules_file.cpp validation/rules_table.cpp validation/status.cpp validation/taxonomy.cpp
  validation/validate_invoice.cpp validation/verdict.cpp)
target_link_libraries(celeriac_invoices
  PUBLIC celeriac_app celeriac_store celeriac_config celeriac_tasks
  PRIVATE Boost::headers PkgConfig::hiredis PkgConfig::xlsxwriter spdlog::spdlog)
# Each task has words of its own for its options and columns: smaller batches.
set_target_properties(celeriac_invoices PROPERTIES UNITY_BUILD_BATCH_SIZE 12)
set_source_files_properties(${migrations_cpp} export/export_job.cpp export/fields.cpp export/template.cpp validation/rules_file.cpp
  PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
