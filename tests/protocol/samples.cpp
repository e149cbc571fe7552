#include "samples.hpp"

#include <doctest/doctest.h>
#include <fstream>

namespace celeriac::test {

std::vector<std::string> sample_lines(const std::string& file) {
  std::ifstream in(std::string(CELERIAC_TEST_DATA) + "/protocol/" + file);
  REQUIRE(in.is_open());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  REQUIRE(!lines.empty());
  return lines;
}

std::string sample_envelope(const std::string& id) {
  for (const auto& line : sample_lines("envelopes-5.6.jsonl")) {
    if (line.find("\"correlation_id\": \"" + id + "\"") != std::string::npos) return line;
  }
  FAIL("no such sample: " << id);
  return {};
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string to_hex(const std::string& bytes) {
  std::string hex;
  for (const char c : bytes) {
    hex += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    hex += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

}  // namespace celeriac::test
