# The engines: a small loader in celeriac_tasks, and a module that holds the heavy libraries.
pkg_check_modules(poppler REQUIRED IMPORTED_TARGET poppler-cpp)
pkg_check_modules(lept REQUIRED IMPORTED_TARGET lept)
pkg_check_modules(tesseract REQUIRED IMPORTED_TARGET tesseract)
pkg_check_modules(qpdf REQUIRED IMPORTED_TARGET libqpdf)

target_sources(celeriac_tasks PRIVATE engines/file_type.cpp engines/loader.cpp)
target_link_libraries(celeriac_tasks PRIVATE ${CMAKE_DL_LIBS})
set_source_files_properties(engines/loader.cpp PROPERTIES
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
