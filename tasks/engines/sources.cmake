# The engines: a small loader in celeriac_tasks, and modules that hold the heavy libraries.
pkg_check_modules(poppler REQUIRED IMPORTED_TARGET poppler-cpp)
pkg_check_modules(lept REQUIRED IMPORTED_TARGET lept)
pkg_check_modules(tesseract REQUIRED IMPORTED_TARGET tesseract)
pkg_check_modules(qpdf REQUIRED IMPORTED_TARGET libqpdf)

target_sources(celeriac_tasks PRIVATE engines/circuit_breaker.cpp engines/file_type.cpp engines/form.cpp engines/http.cpp engines/load_module.cpp engines/loader.cpp
  engines/mime.cpp engines/public_address.cpp engines/virus_scan.cpp)
target_link_libraries(celeriac_tasks PRIVATE ${CMAKE_DL_LIBS} celeriac_config celeriac_asio)
set_source_files_properties(engines/load_module.cpp PROPERTIES
  COMPILE_DEFINITIONS CELERIAC_LIBDIR="${CMAKE_INSTALL_LIBDIR}/celeriac")

add_library(celeriac_engines MODULE
  engines/module.cpp engines/pdf_inspect.cpp engines/pdf_poppler.cpp engines/image.cpp engines/ocr.cpp
  engines/file_type.cpp)
set_target_properties(celeriac_engines PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_compile_definitions(celeriac_engines PRIVATE POINTERHOLDER_TRANSITION=4)
target_link_libraries(celeriac_engines PRIVATE celeriac_options
  PkgConfig::poppler PkgConfig::lept PkgConfig::tesseract PkgConfig::qpdf)
add_dependencies(celeriac_tasks celeriac_engines)

# HTTP and IMAP: libcurl, loaded by the first call of another server.
find_package(CURL REQUIRED)
add_library(celeriac_http MODULE engines/http_curl.cpp engines/public_address.cpp)
set_target_properties(celeriac_http PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_link_libraries(celeriac_http PRIVATE celeriac_options CURL::libcurl Threads::Threads)
add_dependencies(celeriac_tasks celeriac_http)

# MIME: GMime, loaded by the first mail or form.
pkg_check_modules(gmime REQUIRED IMPORTED_TARGET GLOBAL gmime-3.0)
add_library(celeriac_mime MODULE engines/form_gmime.cpp engines/mime_gmime.cpp)
set_target_properties(celeriac_mime PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_link_libraries(celeriac_mime PRIVATE celeriac_options PkgConfig::gmime)
add_dependencies(celeriac_tasks celeriac_mime)
