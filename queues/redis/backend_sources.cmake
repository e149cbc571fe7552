target_sources(celeriac_queues PRIVATE
  redis/redis_backend.cpp
  redis/result_watcher.cpp)
