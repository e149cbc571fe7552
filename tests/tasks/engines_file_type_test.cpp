#include "tasks/engines/file_type.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace celeriac;
using namespace std::string_view_literals;

TEST_CASE("a file is what its bytes say") {
  struct Case {
    std::string_view bytes;
    FileType type;
  };
  const Case cases[] = {
      {"", FileType::empty},
      {"%PDF-1.7\n", FileType::pdf},
      {"junk before\n%PDF-1.4\n", FileType::pdf},
      {"\x89PNG\r\n\x1a\n....", FileType::png},
      {"\xff\xd8\xff\xe0", FileType::jpeg},
      {"II*\0...."sv, FileType::tiff},
      {"MM\0*...."sv, FileType::tiff},
      {"<?xml version=\"1.0\"?><Invoice/>", FileType::xml},
      {"\xef\xbb\xbf  <?xml version=\"1.0\"?>", FileType::xml},
      {"\xff\xfe<\0?\0x\0m\0l\0"sv, FileType::xml},
      {"<?xml version=\"1.0\"?><svg xmlns=\"x\"/>", FileType::svg},
      {"<!DOCTYPE html><html></html>", FileType::html},
      {"Dear customer", FileType::text},
      {"\x01\x02\x03\x04", FileType::unknown},
  };
  for (const Case& c : cases) {
    CAPTURE(mime_type(c.type));
    CHECK(detect_file_type(c.bytes) == c.type);
  }
}

TEST_CASE("a PDF header deep inside a file does not make it a PDF") {
  CHECK(detect_file_type(std::string(2000, 'x') + "%PDF-1.4") == FileType::text);
}

TEST_CASE("only decodable kinds count as images") {
  CHECK(is_image(FileType::tiff));
  CHECK_FALSE(is_image(FileType::svg));
  CHECK_FALSE(is_image(FileType::pdf));
}
