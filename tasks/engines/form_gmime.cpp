// Forms by GMime. Compiled into celeriac_mime.so.
#include "tasks/engines/form.hpp"

#include "tasks/engines/gmime_ref.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>

namespace celeriac {
namespace {

// Each delimiter is a line that begins with "--", so these bound the parts before GMime makes an
// object of each. In documents such lines are rare.
bool too_many_parts(int fd) {
  constexpr int most = 10000;
  std::array<char, 65536> buffer{};
  int lines = 0;
  char before = '\n', second = 0;  // the last two bytes seen
  for (ssize_t got; (got = ::read(fd, buffer.data(), buffer.size())) > 0;)
    for (const char c : std::span(buffer.data(), static_cast<std::size_t>(got))) {
      if (c == '-' && before == '-' && second == '\n' && ++lines > most) return true;
      second = before;
      before = c;
    }
  return false;
}

std::string base_name(std::string name) {
  const auto slash = name.find_last_of("/\\");
  if (slash != name.npos) name.erase(0, slash + 1);
  std::erase_if(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (name.size() > 255) name.resize(255);
  return name;
}

struct Search {
  const char* field;
  GMimePart* found = nullptr;
  std::string name;
};

void look_at(GMimeObject*, GMimeObject* part, gpointer data) {
  auto& search = *static_cast<Search*>(data);
  if (search.found || !GMIME_IS_PART(part)) return;
  const char* name = g_mime_object_get_content_disposition_parameter(part, "name");
  const char* file = g_mime_object_get_content_disposition_parameter(part, "filename");
  if (!file || (name && search.field && std::string_view(name) != search.field)) return;
  search.found = GMIME_PART(part);
  search.name = file;
}

struct Held {
  Ref<GMimeObject> message;
  Ref<GMimeStream> content;
};

}  // namespace

Expected<FormFile> read_form_gmime(const std::string& body_file, const std::string& content_type,
                                   const std::string& field) {
  static std::once_flag once;
  std::call_once(once, [] { g_mime_init(); });
  if (!content_type.starts_with("multipart/form-data") ||
      content_type.find_first_of("\r\n") != content_type.npos)
    return unexpected("the body must be multipart/form-data");
  const int fd = ::open(body_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return unexpected("the upload cannot be read");
  const Ref<GMimeStream> body(g_mime_stream_fs_new(fd));  // closes it
  if (too_many_parts(fd)) return unexpected("the form has too many parts");
  g_mime_stream_reset(body.get());
  // HTTP gives the type beside the body; MIME wants it before.
  const auto head = "MIME-Version: 1.0\r\nContent-Type: " + content_type + "\r\n\r\n";
  const Ref<GMimeStream> header(g_mime_stream_mem_new_with_buffer(head.data(), head.size()));
  const Ref<GMimeStream> whole(g_mime_stream_cat_new());
  g_mime_stream_cat_add_source(GMIME_STREAM_CAT(whole.get()), header.get());
  g_mime_stream_cat_add_source(GMIME_STREAM_CAT(whole.get()), body.get());
  const Ref<GMimeParser> parser(g_mime_parser_new_with_stream(whole.get()));
  g_mime_parser_set_persist_stream(parser.get(), TRUE);
  auto held = std::make_shared<Held>();
  held->message.reset(g_mime_parser_construct_part(parser.get(), nullptr));
  if (!held->message || !GMIME_IS_MULTIPART(held->message.get()))
    return unexpected("the multipart body cannot be read");
  Search search{field.c_str(), nullptr, {}};
  g_mime_multipart_foreach(GMIME_MULTIPART(held->message.get()), look_at, &search);
  if (!search.found) return unexpected("there is no file in the field '" + field + "'");
  auto* wrapper = g_mime_part_get_content(search.found);
  if (!wrapper) return unexpected("the file is empty");
  const auto encoding = g_mime_data_wrapper_get_encoding(wrapper);
  if (encoding == GMIME_CONTENT_ENCODING_BASE64 || encoding == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE ||
      encoding == GMIME_CONTENT_ENCODING_UUENCODE)
    return unexpected("the file has a Content-Transfer-Encoding, which forms must not have (RFC 7578)");
  held->content.reset(g_mime_data_wrapper_get_stream(wrapper));
  g_object_ref(held->content.get());
  g_mime_stream_reset(held->content.get());
  FormFile file;
  file.name = base_name(search.name);
  file.read = [held](std::span<char> buffer) {
    return static_cast<std::ptrdiff_t>(g_mime_stream_read(held->content.get(), buffer.data(), buffer.size()));
  };
  return file;
}

}  // namespace celeriac

// C++ types on both sides: loader and module are built together.
extern "C" __attribute__((visibility("default"))) void celeriac_read_form(
    const std::string& body_file, const std::string& content_type, const std::string& field,
    celeriac::Expected<celeriac::FormFile>& out) {
  out = celeriac::read_form_gmime(body_file, content_type, field);
}
