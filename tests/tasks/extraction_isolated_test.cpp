#include "tasks/extraction/isolated.hpp"

#include <doctest/doctest.h>
#include <map>

using namespace celeriac;

namespace {

std::map<std::size_t, Extracted<std::string>> run(const std::vector<std::string>& scripts,
                                                  IsolatedLimits limits) {
  std::vector<std::vector<std::string>> commands;
  for (const std::string& script : scripts) commands.push_back({"/bin/sh", "-c", script});
  std::map<std::size_t, Extracted<std::string>> results;
  run_isolated(commands, limits, [&](std::size_t index, Extracted<std::string> output) {
    results.emplace(index, std::move(output));
  });
  return results;
}

}  // namespace

TEST_CASE("a process that dies costs only its own document") {
  const auto results =
      run({"echo one", "kill -SEGV $$", "echo three; exit 1", "exit 3", "true"}, {.parallel = 2});
  REQUIRE(results.size() == 5);
  CHECK(results.at(0).value() == "one\n");
  CHECK(results.at(1).error().code == ExtractErrorCode::crashed);
  CHECK(results.at(2).value() == "three\n");
  CHECK(results.at(3).error().code == ExtractErrorCode::crashed);
  CHECK(results.at(4).error().code == ExtractErrorCode::crashed);
}

TEST_CASE("a process that hangs is ended at its deadline") {
  const auto results =
      run({"exec sleep 60", "echo quick"}, {.parallel = 2, .deadline = std::chrono::milliseconds(300)});
  CHECK(results.at(0).error().code == ExtractErrorCode::timeout);
  CHECK(results.at(1).value() == "quick\n");
}

TEST_CASE("output is bounded") {
  const auto results = run({"exec yes"}, {.parallel = 1, .max_output = 100'000});
  CHECK(results.at(0).error().code == ExtractErrorCode::crashed);
}

TEST_CASE("a program that is missing is the caller's error") {
  CHECK_THROWS_AS(run_isolated({{"/no/such/program"}}, {}, [](std::size_t, Extracted<std::string>) {}),
                  std::system_error);
}
