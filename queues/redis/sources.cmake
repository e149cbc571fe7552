target_sources(celeriac_queues PRIVATE
  backoff.cpp
  due_queue.cpp
  stream.cpp
  redis/connection.cpp
  redis/connection_options.cpp
  redis/reply.cpp
  redis/request.cpp)
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/redis_backend.cpp)
  target_sources(celeriac_queues PRIVATE redis/redis_backend.cpp)
endif()
