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
  install(TARGETS celeriac_http celeriac_jwt celeriac_mime
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/celeriac COMPONENT runtime)
  # Apart from the rest: Poppler's licence, and the weight of Tesseract.
  install(TARGETS celeriac_engines LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/celeriac COMPONENT engines)
endif()
set(written ${PROJECT_BINARY_DIR}/written)
install(FILES ${written}/celeriac.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT runtime)
install(FILES ${written}/celeriac.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME celeriac COMPONENT runtime)
install(FILES ${written}/_celeriac DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT runtime)
install(FILES ${written}/celeriac.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT runtime)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
