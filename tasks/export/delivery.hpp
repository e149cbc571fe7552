// An export's file, handed to another system over HTTP.
//
// That it is to be delivered is decided in the transaction that completes the job: a row of the outbox, whose
// id is the delivery's. Each attempt carries that id as its Idempotency-Key (POST) or goes to a URL made of
// the file's name (PUT), so that a delivery repeated after a crash, or after an answer that was lost, counts
// once there.
#pragma once

#include "protocol/error.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/storage.hpp"
#include "worker/context.hpp"

#include <map>
#include <string>

namespace celeriac {

// By name, from the setting export_endpoints: who orders an export names one and cannot send it elsewhere.
using ExportEndpoints = std::map<std::string, std::string>;

struct ExportEndpoint {
  std::string url;  // without credentials
  std::string user, password, bearer;
};

// "https://user:password@host/path" (Basic), "https://:token@host/path" (Bearer), or without either. A secret
// goes over http:// to this host only. The Error shows no secret.
Expected<ExportEndpoint> read_endpoint(const std::string& text);

// {"endpoint": name, "method": "POST" (default) or "PUT"}. Throws TaskError InvalidExport.
void check_delivery(const Json& destination_config, const ExportEndpoints& endpoints);

// In the transaction that completes the job.
void decide_delivery(Database& database, const std::string& job_id, const Json& destination_config);

// Delivers when that was decided and has not happened; the caller holds the job's lock. Throws TaskError
// DeliveryFailed (worth another try: no answer, 408, 425, 429, 5xx) or DeliveryRefused (every other answer; a
// further run of the job tries again).
void deliver_export(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
                    const std::string& job_id);

}  // namespace celeriac
