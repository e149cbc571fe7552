# The seams over both kinds of result store are listed here, too.
target_sources(celeriac_queues PRIVATE
  connect_backend.cpp
  multi_backend.cpp
  postgres/connection.cpp
  postgres/connection_options.cpp
  postgres/outcome.cpp
  postgres/statement.cpp)
if(EXISTS ${PROJECT_SOURCE_DIR}/protocol/pickle.hpp)
  target_sources(celeriac_queues PRIVATE
    postgres/postgres_backend.cpp
    postgres/result_row.cpp
    postgres/result_table.cpp)
endif()
