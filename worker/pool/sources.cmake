target_sources(celeriac_worker PRIVATE
  pool/async_pool.cpp
  pool/ipc.cpp
  pool/make_pool.cpp
  pool/memory.cpp
  pool/prefork_pool.cpp
  pool/slot.cpp
  pool/slot_line.cpp
  pool/slot_output.cpp
  pool/solo_pool.cpp
  pool/spawn.cpp
  pool/threads_pool.cpp)
