#include "tasks/export/delivery.hpp"

#include "protocol/uuid.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/export/invalid.hpp"
#include "tasks/export/output_file.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/outbox.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"
#include "tasks/store/unnamed_file.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

#include <array>

namespace celeriac {
namespace {

using namespace std::chrono_literals;

std::string method_of(const Json& config) { return config.value("method", std::string("POST")); }

struct Delivery {
  std::string id, state, endpoint, method, file_path, file_name, file_hash;
  ExportFormat format = ExportFormat::csv;
};

// Nothing when the job delivers nowhere.
std::optional<Delivery> find_delivery(Database& database, const std::string& job_id) {
  const Rows row = database.run(
      "SELECT o.id, o.state, o.target, o.payload->>'method', j.file_path, j.file_name, j.file_hash, j.format"
      " FROM outbox o JOIN export_jobs j ON j.id = $1 WHERE o.effect_key = 'export:' || $1",
      {job_id});
  if (row.empty()) return std::nullopt;
  return Delivery{row.str(0, 0), row.str(0, 1), row.str(0, 2), row.str(0, 3),
                  row.str(0, 4), row.str(0, 5), row.str(0, 6), parse_export_format(row.text(0, 7)).value()};
}

// The stored file, here; it must be the one that was exported.
void fetch(Storage& storage, const Delivery& delivery, const std::string& path) {
  const auto reader = storage.open(delivery.file_path);
  OutputFile file(path);
  Sha256 digest;
  std::array<char, 64 * 1024> buffer;
  while (const auto count = reader->read(buffer)) {
    const std::string_view piece(buffer.data(), count);
    digest.update(piece);
    file.write(piece);
  }
  file.close();
  if (digest.hex() != delivery.file_hash)
    throw StorageError(StorageFailure::refused, delivery.file_path + " is not the file that was exported");
}

HttpRequest request_for(const Delivery& delivery, const ExportEndpoint& endpoint, const std::string& path) {
  HttpRequest request;
  request.method = delivery.method;
  request.url = endpoint.url;
  if (delivery.method == "PUT")
    request.url += (request.url.ends_with('/') ? "" : "/") + url_encode(delivery.file_name);
  request.headers = {{"Content-Type", std::string(media_type(delivery.format))},
                     {"Content-Disposition", "attachment; filename=\"" + delivery.file_name + "\""},
                     {"Idempotency-Key", "\"" + delivery.id + "\""},
                     {"X-Content-SHA256", delivery.file_hash}};
  if (!endpoint.bearer.empty()) request.headers.emplace_back("Authorization", "Bearer " + endpoint.bearer);
  request.user = endpoint.user, request.password = endpoint.password;
  request.body_file = path;
  request.deadline = 30min;
  request.idle = 60s;
  request.max_body = 1 << 20;
  return request;
}

void record(Context& context, Database& database, const std::string& job_id, const Delivery& delivery,
            int status) {
  database.transaction([&] {
    effect_sent(database, delivery.id);
    database.run("UPDATE export_jobs SET delivered_at = now(), updated_at = now() WHERE id = $1", {job_id});
    const Json data = {{"endpoint", delivery.endpoint}, {"status", status}, {"worker", context.hostname()}};
    database.run(
        "INSERT INTO export_audit_logs (id, export_job_id, event_type, event_data) VALUES ($1, $2, "
        "'delivered', $3)",
        {uuid4(), job_id, dump_json(data)});
  });
}

bool is_passing(int status) { return status == 408 || status == 425 || status == 429 || status >= 500; }

}  // namespace

Expected<ExportEndpoint> read_endpoint(const std::string& text) {
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed || (parsed->scheme() != "https" && parsed->scheme() != "http") || parsed->host().empty())
    return unexpected("not an http:// or https:// URL");
  ExportEndpoint out;
  if (parsed->user().empty()) {
    out.bearer = parsed->password();
  } else {
    out.user = parsed->user(), out.password = parsed->password();
  }
  const std::string host = parsed->host();
  const bool local = host == "127.0.0.1" || host == "localhost" || host == "[::1]";
  if (parsed->scheme() == "http" && !local && parsed->has_userinfo())
    return unexpected("a password for " + host + " needs https://");
  boost::urls::url bare(*parsed);
  bare.remove_userinfo();
  bare.remove_fragment();
  out.url = bare.c_str();
  return out;
}

void check_delivery(const Json& config, const ExportEndpoints& endpoints) {
  const auto name = config.find("endpoint");
  if (name == config.end() || !name->is_string())
    invalid_export("api_endpoint needs destination_config {\"endpoint\": a name in export_endpoints}");
  const auto found = endpoints.find(name->get<std::string>());
  if (found == endpoints.end())
    invalid_export("export_endpoints has no '" + clean_text(name->get<std::string>(), 100) + "'");
  if (const auto endpoint = read_endpoint(found->second); !endpoint)
    invalid_export("export_endpoints." + found->first + ": " + endpoint.error().what);
  const auto method = config.find("method");
  if (method != config.end() && *method != "POST" && *method != "PUT")
    invalid_export("destination_config.method is POST or PUT");
}

void decide_delivery(Database& database, const std::string& job_id, const Json& config) {
  add_effect(database, {"export:" + job_id,
                        "delivery",
                        config.at("endpoint").get<std::string>(),
                        {{"job_id", job_id}, {"method", method_of(config)}}});
}

void deliver_export(Context& context, Database& database, Storage& storage, const ExportEndpoints& endpoints,
                    const std::string& job_id) {
  const auto delivery = find_delivery(database, job_id);
  if (!delivery || delivery->state == "sent") return;
  // The job's lock keeps others away; this keeps maintenance from sending for it meanwhile.
  database.run(
      "UPDATE outbox SET state = 'waiting', attempts = attempts + 1, claimed_by = $2,"
      " available_at = now() + interval '1 hour' WHERE id = $1",
      {delivery->id, clean_text(context.hostname(), 255)});
  const auto fail = [&](const char* type, const std::string& why) {
    effect_failed(database, delivery->id, why, std::string_view(type) == "DeliveryRefused");
    throw invoice_error(type, why);
  };
  const auto named = endpoints.find(delivery->endpoint);
  if (named == endpoints.end())
    fail("DeliveryRefused", "export_endpoints has no '" + delivery->endpoint + "'");
  const auto endpoint = read_endpoint(named->second);
  if (!endpoint) fail("DeliveryRefused", "export_endpoints." + named->first + ": " + endpoint.error().what);

  const UnnamedFile spool;
  fetch(storage, *delivery, spool.path());
  const HttpResult result = http_fetch(request_for(*delivery, *endpoint, spool.path()),
                                       [&] { return context.soft_limit_exceeded(); });
  if (!result) fail("DeliveryFailed", result.error().message);
  if (result->status >= 200 && result->status < 300)
    return record(context, database, job_id, *delivery, result->status);
  fail(is_passing(result->status) ? "DeliveryFailed" : "DeliveryRefused",
       shown_url(endpoint->url) + " answered " + std::to_string(result->status) + ": " +
           clean_text(result->body, 300));
}

}  // namespace celeriac
