# Result stores beside Redis and PostgreSQL; the blocking ones work on a thread of their own.
target_sources(celeriac_queues PRIVATE
  blocking/blocking_backend.cpp
  database/result_row.cpp
  files/file_store.cpp
  memcached/memcached_store.cpp
  result_poll.cpp
  sqlite/database.cpp
  sqlite/sqlite_store.cpp)
