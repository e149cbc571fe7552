#include "tasks/engines/form.hpp"

#include "tasks/engines/load_module.hpp"

namespace celeriac {

Expected<FormFile> read_form(const std::string& body_file, const std::string& content_type,
                             const std::string& field) {
  using Read = void (*)(const std::string&, const std::string&, const std::string&, Expected<FormFile>&);
  static const Expected<void*> read = load_module("celeriac_mime.so", "celeriac_read_form");
  if (!read) return tl::unexpected(read.error());
  Expected<FormFile> file;
  reinterpret_cast<Read> (*read)(body_file, content_type, field, file);
  return file;
}

}  // namespace celeriac
