// Several result stores as one: a result is stored when all have it, and read from the first.
// So clients that look into Redis and reports that look into PostgreSQL are both served.
#pragma once

#include "queues/result_backend.hpp"

#include <memory>
#include <vector>

namespace celeriac {

// At least one store. on_state reports a loss of any of them, with its URL, and `connected` once all are.
std::unique_ptr<ResultBackend> make_multi_backend(std::vector<std::unique_ptr<ResultBackend>> stores);

}  // namespace celeriac
