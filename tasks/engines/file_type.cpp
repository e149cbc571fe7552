#include "tasks/engines/file_type.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace celeriac {
namespace {

using namespace std::string_view_literals;

struct Signature {
  FileType type;
  std::size_t offset;
  std::string_view magic;
};

constexpr std::array signatures{
    Signature{FileType::png, 0, "\x89PNG\r\n\x1a\n"sv},
    Signature{FileType::jpeg, 0, "\xff\xd8\xff"sv},
    Signature{FileType::tiff, 0, "II*\0"sv},
    Signature{FileType::tiff, 0, "MM\0*"sv},
    Signature{FileType::gif, 0, "GIF8"sv},
    Signature{FileType::webp, 8, "WEBPVP8"sv},
    Signature{FileType::bmp, 0, "BM"sv},
};

std::string lower_ascii(std::string_view text) {
  std::string out;
  for (char c : text)
    if (c != '\0')  // UTF-16 text becomes readable enough to look for tags
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

FileType markup_type(std::string_view bytes) {
  std::string head = lower_ascii(bytes.substr(0, 4096));
  if (head.starts_with("\xef\xbb\xbf")) head.erase(0, 3);
  if (head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff")) head.erase(0, 2);
  head.erase(0, head.find_first_not_of(" \t\r\n"));
  if (!head.starts_with('<')) return FileType::unknown;
  if (head.find("<html") != std::string::npos || head.find("<!doctype html") != std::string::npos)
    return FileType::html;
  if (head.find("<svg") != std::string::npos) return FileType::svg;
  if (head.starts_with("<?xml") ||
      (head.size() > 1 && (std::isalpha(static_cast<unsigned char>(head[1])) || head[1] == '!')))
    return FileType::xml;
  return FileType::unknown;
}

bool looks_like_text(std::string_view bytes) {
  return std::ranges::none_of(bytes.substr(0, 4096), [](char c) {
    auto u = static_cast<unsigned char>(c);
    return u < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\x1b';
  });
}

}  // namespace

FileType detect_file_type(std::string_view bytes) {
  if (bytes.empty()) return FileType::empty;
  for (const Signature& s : signatures)
    if (bytes.size() > s.offset && bytes.substr(s.offset).starts_with(s.magic)) return s.type;
  if (bytes.substr(0, 1024).find("%PDF-") != std::string_view::npos) return FileType::pdf;
  if (FileType type = markup_type(bytes); type != FileType::unknown) return type;
  return looks_like_text(bytes) ? FileType::text : FileType::unknown;
}

std::string_view mime_type(FileType type) {
  switch (type) {
    case FileType::empty:
      return "application/x-empty";
    case FileType::pdf:
      return "application/pdf";
    case FileType::png:
      return "image/png";
    case FileType::jpeg:
      return "image/jpeg";
    case FileType::tiff:
      return "image/tiff";
    case FileType::bmp:
      return "image/bmp";
    case FileType::gif:
      return "image/gif";
    case FileType::webp:
      return "image/webp";
    case FileType::xml:
      return "application/xml";
    case FileType::svg:
      return "image/svg+xml";
    case FileType::html:
      return "text/html";
    case FileType::text:
      return "text/plain";
    case FileType::unknown:
      break;
  }
  return "application/octet-stream";
}

bool is_image(FileType type) {
  return type == FileType::png || type == FileType::jpeg || type == FileType::tiff || type == FileType::bmp ||
         type == FileType::gif || type == FileType::webp;
}

}  // namespace celeriac
