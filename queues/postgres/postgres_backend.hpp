// Results in PostgreSQL, in Celery's own tables or in those of django-celery-results (docs/results.md).
#pragma once

#include "config/settings.hpp"
#include "queues/result_backend.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>

namespace celeriac {

// db+postgresql://... or django-db+postgresql://..., also with a Python driver's name after a '+'. The URL's
// query takes libpq's keys.
Expected<std::unique_ptr<ResultBackend>> make_postgres_backend(boost::asio::io_context& io,
                                                               const Settings& settings, const Url& url);

}  // namespace celeriac
