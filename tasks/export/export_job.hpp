// One row of export_jobs, carried out: select, write, store, complete.
#pragma once

#include "tasks/export/delivery.hpp"
#include "tasks/export/writer.hpp"
#include "tasks/store/database.hpp"
#include "tasks/store/storage.hpp"
#include "worker/context.hpp"

#include <string>

namespace celeriac {

// Runs the job, or answers what an earlier run made of it. Killed anywhere, the next run begins anew
// and ends in the same file; two runs at once take turns. A file that is to be delivered is delivered by this
// run or, when it cannot, by the next one (delivery.hpp). Returns {"status": "completed" | "cancelled",
// "job_id", "file_name", "file_path", "file_size", "file_hash", "total_records", "skipped_records",
// "delivery_id", "delivered_at"}. Throws TaskError ExportJobNotFound, InvalidExport, StorageUnavailable,
// OperationalError, DeliveryFailed, DeliveryRefused.
Json run_export_job(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
                    const std::string& job_id);

struct ExportOrder {
  std::string id;  // UUID, the caller's: the same id again is the same job
  std::string format = "csv", template_name = "standard", destination = "file_storage", name, user_id;
  Json destination_config = Json::object(), filters = Json::object();
};

// Inserts the job after checking everything that can be checked beforehand. Throws TaskError InvalidExport.
void create_export_job(Database& database, const ExportOrder& order, const ExportEndpoints& endpoints = {});

}  // namespace celeriac
