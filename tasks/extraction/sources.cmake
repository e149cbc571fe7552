# Reading invoices: e-invoice XML, text layers, OCR.
pkg_check_modules(pugixml REQUIRED IMPORTED_TARGET pugixml)
target_sources(celeriac_tasks PRIVATE
  extraction/invoice.cpp extraction/invoice_json.cpp extraction/text.cpp extraction/values.cpp
  extraction/layout.cpp)
target_link_libraries(celeriac_tasks PRIVATE PkgConfig::pugixml)
