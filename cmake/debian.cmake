# Debian packages: `cpack -G DEB --config build/release/CPackConfig.cmake` (scripts/package.sh).
#   celeriac          the program, its units, manual page and completion
#   celeriac-engines  Poppler, QPDF, Leptonica and Tesseract behind one module: GPL
#   libceleriac-dev   headers and static libraries for workers of one's own
if(NOT CELERIAC_TASKS)
  return()
endif()
set(system ${PROJECT_SOURCE_DIR}/docker)
install(FILES ${system}/systemd/celeriac-worker@.service ${system}/systemd/celeriac-beat.service
              ${system}/systemd/celeriac-http.service
        DESTINATION /usr/lib/systemd/system COMPONENT system EXCLUDE_FROM_ALL)
install(FILES ${system}/debian/celeriac.toml DESTINATION /etc/celeriac COMPONENT system EXCLUDE_FROM_ALL)
install(FILES ${system}/prometheus/alerts.yml ${system}/grafana/celeriac.json
        DESTINATION /usr/share/doc/celeriac/examples COMPONENT system EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME celeriac)
set(CPACK_PACKAGE_VENDOR celeriac)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "native worker for the queues of Celery")
set(CPACK_PACKAGE_CONTACT "celeriac maintainers <celeriac@packages.debian.org>")
set(CPACK_PACKAGE_CHECKSUM SHA256)
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL runtime system engines development)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(same "celeriac (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")

# Opened by name, so that the linker knows nothing of them: SQLite, memcached.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME celeriac)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS "adduser, tzdata")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS "ca-certificates, celeriac-engines, libsqlite3-0")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "libmemcached11, postgresql, rabbitmq-server, redis-server")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA
    "${system}/debian/postinst;${system}/debian/prerm;${system}/debian/postrm;${system}/debian/conffiles")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION
"Takes the place of a Celery worker: producers, Flower and Celery's own commands
stay as they are. Messages come from Redis or RabbitMQ; results go to Redis,
PostgreSQL, SQLite, files or memcached. What a killed worker held comes back
within seconds.
.
Beat, an HTTP front end, commands that look into queues, and the tasks of an
application that reads invoices are part of the program.")

set(CPACK_DEBIAN_ENGINES_PACKAGE_NAME celeriac-engines)
set(CPACK_DEBIAN_ENGINES_PACKAGE_SECTION text)
set(CPACK_DEBIAN_ENGINES_PACKAGE_DEPENDS "${same}")
set(CPACK_DEBIAN_ENGINES_PACKAGE_RECOMMENDS "tesseract-ocr-deu, tesseract-ocr-eng")
set(CPACK_COMPONENT_ENGINES_DESCRIPTION
"Reads PDF and scanned documents: the module that workers of the queue
invoice_processing load, on top of Poppler, QPDF, Leptonica and Tesseract.
Poppler's licence is the GPL.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libceleriac-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "libboost1.81-dev, libbrotli-dev, libbz2-dev, libcli11-dev, libexpected-dev, libhiredis-dev, \
libhowardhinnant-date-dev, liblzma-dev, libnova-dev, libpq-dev, librabbitmq-dev, libspdlog-dev, libssl-dev, \
libtomlplusplus-dev, libyaml-cpp-dev, libzstd-dev, nlohmann-json3-dev, pkg-config, prometheus-cpp-dev, zlib1g-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "celeriac, libmemcached-dev, libsqlite3-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
"Development files: headers, static libraries and a CMake package for workers
and clients that are written in C++: find_package(celeriac), celeriac::app.")

# What policy wants in each package's folder of documentation.
set(CPACK_DEBIAN_PACKAGE_VERSION_FULL ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
string(TIMESTAMP CELERIAC_CHANGELOG_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)  # SOURCE_DATE_EPOCH is honoured
set(pages ${PROJECT_BINARY_DIR}/debian)
configure_file(${system}/debian/changelog.in ${pages}/changelog.Debian @ONLY)
execute_process(COMMAND ${GZIP} -9nkf ${pages}/changelog.Debian)
foreach(package celeriac:system celeriac-engines:engines libceleriac-dev:development)
  string(REPLACE ":" ";" package ${package})
  list(GET package 0 name)
  list(GET package 1 component)
  install(FILES ${pages}/changelog.Debian.gz ${system}/debian/copyright
          DESTINATION /usr/share/doc/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
  if(EXISTS ${system}/debian/${name}.overrides)
    install(FILES ${system}/debian/${name}.overrides DESTINATION /usr/share/lintian/overrides RENAME ${name}
            COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endforeach()

include(CPack)
cpack_add_component_group(runtime)
cpack_add_component_group(engines)
cpack_add_component_group(development)
cpack_add_component(runtime GROUP runtime)
cpack_add_component(system GROUP runtime)
cpack_add_component(engines GROUP engines)
cpack_add_component(development GROUP development)
