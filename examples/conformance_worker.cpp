// A worker that serves the tasks of Celery's own integration tests, of the differential tests
// against a Python worker, and of the benchmark.
//
//   conformance_worker --broker redis://localhost/0 --result-backend redis://localhost/0 -Q celery -c 2
//
// It takes the options of `celeriac worker`. Start with conformance/bench_tasks.cpp: four functions
// and their registration.
#include "conformance/environment.hpp"
#include "conformance/tasks.hpp"

int main(int argc, char** argv) {
  celeriac::App app;
  conformance::add_bench_tasks(app);
  conformance::add_fuzz_tasks(app);
  conformance::add_suite_tasks(app);
  conformance::add_suite_retries(app);
  conformance::add_suite_canvas(app);
  conformance::add_redis_tasks(app);

  conformance::CommandLine command(argc, argv);
  return celeriac::worker_main(app, command.argc(), command.argv());
}
