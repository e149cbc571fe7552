// The file in a multipart/form-data body, read from where the body was spooled: at no time is the file in
// memory. GMime lives in a module (celeriac_mime.so) that is loaded by the first form.
#pragma once

#include "protocol/error.hpp"

#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace celeriac {

struct FormFile {
  std::string name;  // as the sender calls it, without folders; never a path to write to
  // Fills the front of the buffer: how many bytes, 0 at the end, -1 when the body cannot be read.
  std::function<std::ptrdiff_t(std::span<char>)> read;
};

// `content_type` is the request's header. The file is the one in `field`.
Expected<FormFile> read_form(const std::string& body_file, const std::string& content_type,
                             const std::string& field);

}  // namespace celeriac
