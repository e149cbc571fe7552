# Result stores. A private PostgreSQL server, also for tests elsewhere that need one.
add_library(celeriac_postgres_server STATIC ${CMAKE_CURRENT_LIST_DIR}/postgres_server.cpp)
target_link_libraries(celeriac_postgres_server PUBLIC celeriac_options PRIVATE PostgreSQL::PostgreSQL)
