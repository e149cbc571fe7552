#include "conformance/environment.hpp"

#include "protocol/json.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

namespace conformance {

CommandLine::CommandLine(int argc, char** argv) : words_(argv, argv + argc) {
  for (std::string& word : words_) {
    if (word == "--backend") word = "--result-backend";
  }
  add_default("CONFORMANCE_BROKER", "-b", "--broker");
  add_default("CONFORMANCE_BACKEND", "", "--result-backend");
  add_default("CONFORMANCE_NODENAME", "-n", "--hostname");
  add_default("CONFORMANCE_CONCURRENCY", "-c", "--concurrency");
  add_default("CONFORMANCE_POOL", "-P", "--pool");
  add_default("CONFORMANCE_QUEUES", "-Q", "--queues");
  add_default("CONFORMANCE_LOGLEVEL", "-l", "--loglevel");
  add_settings("CONFORMANCE_SETTINGS");
  for (std::string& word : words_) pointers_.push_back(word.data());
  pointers_.push_back(nullptr);
}

void CommandLine::add_default(const char* variable, const char* shorter, const char* longer) {
  const char* value = std::getenv(variable);
  if (!value || !*value) return;
  const bool given = std::any_of(words_.begin(), words_.end(), [&](const std::string& word) {
    return word == longer || word.rfind(std::string(longer) + "=", 0) == 0 ||
           (*shorter && word.rfind(shorter, 0) == 0);
  });
  if (given) return;
  words_.push_back(longer);
  words_.push_back(value);
}

// Each setting becomes its own environment variable, which is where the worker looks.
void CommandLine::add_settings(const char* variable) {
  const char* text = std::getenv(variable);
  if (!text || !*text) return;
  const auto settings = celeriac::parse_json(text);
  if (!settings || !settings->is_object()) {
    std::fprintf(stderr, "%s is not a JSON object\n", variable);
    std::exit(2);
  }
  for (const auto& [key, value] : settings->items()) {
    std::string name = "CELERY_";
    for (const char c : key) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const std::string word = value.is_string() ? value.get<std::string>() : celeriac::dump_json(value);
    ::setenv(name.c_str(), word.c_str(), 0);
  }
}

}  // namespace conformance
