target_sources(celeriac_queues PRIVATE
  postgres/connection.cpp
  postgres/connection_options.cpp
  postgres/django_table.cpp
  postgres/ledger.cpp
  postgres/ledger_table.cpp
  postgres/outcome.cpp
  postgres/postgres_backend.cpp
  postgres/result_table.cpp
  postgres/statement.cpp)
