// The private PostgreSQL of `celeriac dev`.
#pragma once

#include "cli/dev/folder.hpp"
#include "cli/dev/supervisor.hpp"

#include <cstdint>
#include <string>

namespace celeriac::dev {

// Makes the data on first use (initdb through the supervisor), then describes the service.
Expected<Supervisor::Service> postgres_service(const Folder& folder, Supervisor& supervisor,
                                               std::uint16_t port, const std::string& password);

// Creates the database `celeriac` when it is not there yet.
Expected<void> create_database(std::uint16_t port, const std::string& password);

std::string database_url(std::uint16_t port, const std::string& password, const std::string& scheme);

}  // namespace celeriac::dev
