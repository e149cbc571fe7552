// The command line with what the environment adds to it: CONFORMANCE_BROKER, _BACKEND, _NODENAME,
// _CONCURRENCY, _POOL, _QUEUES, _LOGLEVEL and _SETTINGS (a JSON object of settings). The command
// line's own options win.
#pragma once

#include <string>
#include <vector>

namespace conformance {

class CommandLine {
 public:
  CommandLine(int argc, char** argv);

  int argc() const { return static_cast<int>(pointers_.size()) - 1; }
  char** argv() { return pointers_.data(); }

 private:
  void add_default(const char* variable, const char* shorter, const char* longer);
  static void add_settings(const char* variable);

  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

}  // namespace conformance
