# Reading invoices: e-invoice XML, text layers, OCR.
pkg_check_modules(pugixml REQUIRED IMPORTED_TARGET pugixml)
target_sources(celeriac_tasks PRIVATE
  extraction/confidence.cpp extraction/extract.cpp extraction/invoice.cpp extraction/invoice_json.cpp extraction/isolated.cpp
  extraction/layout.cpp extraction/rules.cpp extraction/rules_classify.cpp extraction/rules_dates.cpp
  extraction/rules_identifiers.cpp extraction/rules_line_items.cpp extraction/rules_parties.cpp
  extraction/rules_totals.cpp extraction/text.cpp extraction/values.cpp extraction/vocabulary.cpp
  extraction/xml_cii.cpp extraction/xml_fatturapa.cpp extraction/xml_reader.cpp extraction/xml_ubl.cpp)
target_link_libraries(celeriac_tasks PRIVATE PkgConfig::pugixml)
set_source_files_properties(extraction/xml_fatturapa.cpp extraction/xml_ubl.cpp
  PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
