// The tasks every Celery worker has under names of "celery.": clients and beat send them by name.
#pragma once

#include "worker/app.hpp"

#include <map>
#include <string>

namespace celeriac::canvas {

std::map<std::string, App::Task, std::less<>> builtin_tasks();

}  // namespace celeriac::canvas
