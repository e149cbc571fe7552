# From URLs to brokers and stores, stores over all kinds, and those that work on a thread of their own.
target_sources(celeriac_queues PRIVATE
  blocking/blocking_backend.cpp
  connect.cpp
  connect_backend.cpp
  connect_ticks.cpp
  database/result_row.cpp
  files/file_store.cpp
  memcached/memcached_store.cpp
  multi_backend.cpp
  result_poll.cpp
  sqlite/database.cpp
  sqlite/sqlite_store.cpp)
