# The workers of docs/tasks-in-cpp.md and docs/migrating.md; included by CMakeLists.txt.
foreach(name minimal tutorial migrated)
  add_executable(${name}_worker ${name}_worker.cpp)
  target_link_libraries(${name}_worker PRIVATE celeriac_worker)
endforeach()

# The program of the section on clients.
add_executable(client_example client.cpp)
target_link_libraries(client_example PRIVATE celeriac_worker)
