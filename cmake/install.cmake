# `cmake --install` leaves the programs, the runtime as a static library with its headers, and a
# package: find_package(celeriac) gives celeriac::app, what a worker of one's own links.
include(CMakePackageConfigHelpers)

set(package_targets celeriac_options celeriac_asio celeriac_protocol celeriac_config celeriac_queues celeriac_app
                    celeriac_worker)
set_target_properties(celeriac_worker PROPERTIES EXPORT_NAME app)
set_target_properties(celeriac_app PROPERTIES EXPORT_NAME api)
foreach(name options asio protocol config queues)
  set_target_properties(celeriac_${name} PROPERTIES EXPORT_NAME ${name})
endforeach()

install(TARGETS ${package_targets} EXPORT celeriacTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/celeriac
        COMPONENT development)
install(EXPORT celeriacTargets NAMESPACE celeriac:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/celeriac
        COMPONENT development)
foreach(folder protocol config queues worker)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/celeriac
          COMPONENT development FILES_MATCHING PATTERN "*.hpp")
endforeach()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/celeriacConfig.cmake.in
  ${PROJECT_BINARY_DIR}/celeriacConfig.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/celeriac)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/celeriacConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/celeriacConfig.cmake ${PROJECT_BINARY_DIR}/celeriacConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/celeriac COMPONENT development)

install(TARGETS celeriac RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
if(TARGET celeriac_engines)
  install(TARGETS celeriac_engines celeriac_http celeriac_jwt celeriac_mime LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/celeriac COMPONENT runtime)
endif()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
