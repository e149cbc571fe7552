# The consumer and everything it decides with; included by CMakeLists.txt.
target_sources(celeriac_worker PRIVATE
  banner.cpp
  canvas/follow.cpp
  canvas/runner.cpp
  consumer.cpp
  consumer_settle.cpp
  log_format.cpp
  logging.cpp
  main.cpp
  node_name.cpp
  pidfile.cpp
  prefetch.cpp
  rate_limit.cpp
  redact.cpp
  request.cpp
  result_stores.cpp
  revoked.cpp
  routes.cpp
  service_manager.cpp
  settle.cpp
  shutdown.cpp
  stall.cpp
  worker.cpp)
