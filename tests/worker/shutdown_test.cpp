#include "worker/shutdown.hpp"

#include <doctest/doctest.h>

#include <vector>

using celeriac::Shutdown;
using Step = Shutdown::Step;
using Ask = Shutdown::Request;

TEST_CASE("signals lead where Celery's do") {
  struct Row {
    const char* what;
    std::vector<Ask> asks;
    std::vector<Step> steps;
    int code;
  };
  const Row rows[] = {
      {"TERM", {Ask::term}, {Step::warm}, 0},
      {"TERM, TERM", {Ask::term, Ask::term}, {Step::warm, Step::none}, 0},
      {"INT", {Ask::interrupt}, {Step::warm}, 1},
      {"INT, INT", {Ask::interrupt, Ask::interrupt}, {Step::warm, Step::cold}, 1},
      {"QUIT", {Ask::quit}, {Step::cold}, 0},
      {"TERM, QUIT", {Ask::term, Ask::quit}, {Step::warm, Step::cold}, 0},
      {"QUIT, QUIT", {Ask::quit, Ask::quit}, {Step::cold, Step::abandon}, 0},
      {"command", {Ask::command}, {Step::warm}, 0},
      {"TERM, INT, INT",
       {Ask::term, Ask::interrupt, Ask::interrupt},
       {Step::warm, Step::none, Step::cold},
       0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Shutdown s({});
    for (std::size_t i = 0; i < row.asks.size(); ++i) CHECK(s.on_request(row.asks[i], true) == row.steps[i]);
    CHECK(s.exit_code() == row.code);
  }
}

TEST_CASE("a soft shutdown waits for running tasks, then turns cold") {
  Shutdown s({.soft_timeout = 5});
  CHECK(s.on_request(Ask::quit, true) == Step::soft);
  CHECK(s.notice() == "Initiating Soft Shutdown, terminating in 5 seconds");
  SUBCASE("by time") { CHECK(s.soft_timeout_passed() == Step::cold); }
  SUBCASE("by a second signal") { CHECK(s.on_request(Ask::quit, true) == Step::cold); }
  CHECK(s.soft_timeout_passed() == Step::none);
}

TEST_CASE("without running tasks there is nothing to wait for") {
  CHECK(Shutdown({.soft_timeout = 5}).on_request(Ask::quit, false) == Step::cold);
  CHECK(Shutdown({.soft_timeout = 5, .soft_on_idle = true}).on_request(Ask::quit, false) == Step::soft);
}

TEST_CASE("TERM can be made to mean QUIT") {
  CHECK(Shutdown({.term_is_quit = true}).on_request(Ask::term, true) == Step::cold);
}
