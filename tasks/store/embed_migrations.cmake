# Writes OUTPUT, a C++ file holding the text of every SOURCES/NNNN_name.sql in order of version.
file(GLOB files ${SOURCES}/*.sql)
list(SORT files)
set(entries "")
foreach(file ${files})
  get_filename_component(name ${file} NAME_WE)
  if(NOT name MATCHES "^([0-9][0-9][0-9][0-9])_[a-z0-9_]+$")
    message(FATAL_ERROR "${file}: expected NNNN_name.sql")
  endif()
  string(REGEX REPLACE "^0+" "" version ${CMAKE_MATCH_1})
  file(READ ${file} sql)
  string(APPEND entries "    {${version}, \"${name}\", R\"migration(${sql})migration\"},\n")
endforeach()
file(WRITE ${OUTPUT} "#include \"tasks/store/migrate.hpp\"

namespace celeriac {
namespace {
constexpr Migration migrations[] = {
${entries}};
}  // namespace

std::span<const Migration> invoice_migrations() { return migrations; }

}  // namespace celeriac
")
