// Tasks that do to a pool what tasks do, and worse.
#pragma once

#include "worker/app.hpp"

#include <string>

namespace celeriac {

App pool_test_app();

// A message for one of them, as Celery sends it.
Job test_job(JobId id, const std::string& task, const std::string& args = "[]");

}  // namespace celeriac
