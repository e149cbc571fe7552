// Captured messages and results, one a line, under tests/data/protocol.
#pragma once

#include <string>
#include <vector>

namespace celeriac::test {

std::vector<std::string> sample_lines(const std::string& file);

// The envelope of this task id in envelopes-5.6.jsonl; fails the test when there is none.
std::string sample_envelope(const std::string& id);

std::string from_hex(const std::string& hex);
std::string to_hex(const std::string& bytes);

}  // namespace celeriac::test
