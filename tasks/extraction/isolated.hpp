// Runs one process per document, several at once, so that a parser that crashes, hangs or
// eats memory costs one document only.
#pragma once

#include "tasks/extraction/invoice.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace celeriac {

struct IsolatedLimits {
  unsigned parallel = 1;
  std::chrono::milliseconds deadline{40'000};  // then SIGKILL; longer than the document's own
  std::size_t max_output = 64u << 20;          // bytes of standard output kept
};

// Runs argv (argv[0] is a path) once per command and gives its standard output to `done`, in
// the order in which they end. A process that is killed, exits other than 0 or 1, or passes
// the deadline gives an error instead. Standard error goes to /dev/null. Throws
// std::system_error when no process can be started at all.
void run_isolated(const std::vector<std::vector<std::string>>& commands, const IsolatedLimits& limits,
                  const std::function<void(std::size_t index, Extracted<std::string> output)>& done);

// For the process itself: bounds its address space, and lets it end with its parent.
void enter_isolation(std::size_t max_address_space);

}  // namespace celeriac
