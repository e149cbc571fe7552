// The groups of tasks this worker knows; each file registers its own.
#pragma once

#include "worker/app.hpp"

namespace conformance {

void add_bench_tasks(celeriac::App& app);    // bench.*
void add_fuzz_tasks(celeriac::App& app);     // fuzz.*
void add_suite_tasks(celeriac::App& app);    // t.integration.tasks.*
void add_suite_retries(celeriac::App& app);  // those that retry or reject themselves
void add_suite_canvas(celeriac::App& app);   // those that send compositions
void add_redis_tasks(celeriac::App& app);    // those that leave traces in Redis

}  // namespace conformance
