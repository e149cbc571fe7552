target_sources(celeriac_queues PRIVATE
  backoff.cpp
  due_queue.cpp
  file_ticks.cpp
  stream.cpp
  tick_record.cpp
  redis/bindings.cpp
  redis/broadcast.cpp
  redis/connection.cpp
  redis/connection_options.cpp
  redis/holdings.cpp
  redis/inspector.cpp
  redis/keys.cpp
  redis/large_claim.cpp
  redis/outbox.cpp
  redis/recovery.cpp
  redis/redis_broker.cpp
  redis/redis_fetch.cpp
  redis/redis_ticks.cpp
  redis/reply.cpp
  redis/request.cpp
  redis/restorer.cpp
  redis/retries.cpp
  redis/router.cpp
  redis/scripts.cpp
  redis/stored.cpp
  redis/wakeup.cpp)
include(${CMAKE_CURRENT_LIST_DIR}/backend_sources.cmake)  # the result store's own list
