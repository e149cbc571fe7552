// Bodies of uploads, by the path that the front end takes, without its module's loader.
#include "check.hpp"
#include "tasks/engines/form.hpp"

#include <sys/mman.h>
#include <unistd.h>
#include <array>
#include <cstdint>

using namespace celeriac;

extern "C" void celeriac_read_form(const std::string&, const std::string&, const std::string&,
                                   Expected<FormFile>&);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int fd = ::memfd_create("body", 0);
  must(fd >= 0 && ::write(fd, data, size) == static_cast<ssize_t>(size), "the body is there");
  Expected<FormFile> file;
  celeriac_read_form("/proc/self/fd/" + std::to_string(fd), "multipart/form-data; boundary=x", "file", file);
  if (file) {
    must(file->name.size() <= 255 && file->name.find('/') == file->name.npos, "a name is no path");
    std::array<char, 4096> buffer{};
    std::size_t all = 0;
    for (std::ptrdiff_t got; (got = file->read(buffer)) > 0;) all += static_cast<std::size_t>(got);
    must(all <= size, "a file is no larger than its body");
  }
  ::close(fd);
  return 0;
}
