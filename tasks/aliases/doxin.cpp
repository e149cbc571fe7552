// process_invoice_image_async: a document in the message, progress over websocket_events; and what webhooks
// bring. process_text_analysis_async is in tasks/llm_processing.
#include "protocol/base64.hpp"
#include "tasks/aliases/fetch_document.hpp"
#include "tasks/aliases/register.hpp"
#include "tasks/aliases/websocket_events.hpp"
#include "tasks/maintenance/maintenance.hpp"
#include "tasks/store/log_levels.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/storage.hpp"
#include "tasks/store/text_values.hpp"

#include <chrono>
#include <utility>

namespace celeriac {
namespace {

constexpr double default_threshold = 0.8;

struct ImageOptions {
  bool auto_save = false;
  double confidence_threshold = default_threshold;
  std::string user_id;
};

ImageOptions read_options(const Json& json) {
  ImageOptions out;
  if (json.is_null()) return out;
  if (!json.is_object()) throw BadArguments("process_invoice_image_async: options must be an object");
  if (const auto save = json.find("auto_save"); save != json.end() && save->is_boolean())
    out.auto_save = save->get<bool>();
  if (const auto least = json.find("confidence_threshold"); least != json.end() && least->is_number())
    out.confidence_threshold = least->get<double>();
  if (const auto user = json.find("user_id");
      user != json.end() && user->is_string() && is_uuid(user->get<std::string>()))
    out.user_id = user->get<std::string>();
  return out;
}

// Base64, plain or as a data: URL.
std::string document_bytes(const std::string& data) {
  std::string_view text = data;
  if (text.starts_with("data:")) {
    const auto comma = text.find(',');
    if (comma == std::string_view::npos) throw invoice_error("SourceRefused", "a data: URL without data");
    text.remove_prefix(comma + 1);
  }
  auto bytes = base64_decode(text);
  if (!bytes) throw invoice_error("SourceRefused", "the document is no base64: " + bytes.error().what);
  return std::move(*bytes);
}

// The stage these clients show for ours, and how far the bar is then.
struct Shown {
  std::string_view stage, message;
};
Shown shown(std::string_view stage) {
  if (stage == "receive") return {"fetch", "downloading"};
  if (stage == "save") return {"save", "saving"};
  if (stage == "completed") return {"complete", "completed"};
  return {"llm_extraction", "reading the document"};
}

Json field(const Json& fields, const char* name) {
  const auto found = fields.find(name);
  return found == fields.end() ? Json(nullptr) : found->at("value");
}

// The answer that their vision model gives, made of what was read.
Json structured(const Json& result) {
  const Json& fields = result.at("fields");
  Json lines = Json::array();
  for (const auto& line : result.at("line_items")) {
    lines.push_back({{"description", field(line, "description")},
                     {"quantity", field(line, "quantity")},
                     {"unit_price", field(line, "unit_price")},
                     {"line_total", field(line, "line_total")}});
  }
  return {{"invoice_number", field(fields, "invoice_number")},
          {"invoice_date", field(fields, "invoice_date")},
          {"due_date", field(fields, "due_date")},
          {"total_amount", field(fields, "total_amount")},
          {"subtotal", field(fields, "subtotal")},
          {"tax_amount", field(fields, "tax_amount")},
          {"bill_to", {{"company_name", field(fields, "buyer_name")}}},
          {"line_items", lines}};
}

std::int64_t milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Json answer(const Json& result, const std::string& filename, const std::string& task_id,
            const ImageOptions& options) {
  const Json data = structured(result);
  Json errors = Json::array();
  for (const char* name : {"invoice_number", "total_amount"}) {
    if (data.at(name).is_null()) errors.push_back(std::string("Missing required field: ") + name);
  }
  const double confidence = result.at("confidence").get<double>();
  const bool review = !errors.empty() || confidence < options.confidence_threshold;
  const bool duplicate = result.at("duplicate").get<bool>();
  return {
      {"task_id", task_id},
      {"filename", filename},
      {"extraction_result", {{"success", true}, {"structured_data", data}, {"confidence_score", confidence}}},
      {"structured_data", data},
      {"confidence_score", confidence},
      {"validation_errors", errors},
      {"requires_review", review},
      {"auto_saved", !duplicate},
      {"duplicate_detected", duplicate},
      {"save_skip_reason", duplicate ? Json("duplicate") : Json(nullptr)},
      {"invoice_id", result.at("invoice_id")},
      {"completed_at", milliseconds_now()}};
}

// An uploaded invoice becomes a task of its own, whose id is told; anything else is only acknowledged. The
// same message delivered twice makes one task.
Json webhook(Context& context, const AliasConfig& config, const Json& data, const std::string& task_id) {
  if (!data.is_object()) throw BadArguments("process_webhook_request_async: webhook_data must be an object");
  const auto text = [&](const char* name) {
    const auto found = data.find(name);
    return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string type = text("type");
  Json result = {{"task_id", task_id}, {"webhook_type", type}, {"webhook_data", data}};
  if (type == "invoice_uploaded") {
    if (text("blob_url").empty())
      return {{"task_id", task_id}, {"success", false}, {"error", "invoice_uploaded without blob_url"}};
    const Json options = {{"auto_save", data.value("auto_save", Json(true))},
                          {"confidence_threshold", data.value("confidence_threshold", Json(0.8))}};
    const Effect next = {
        "webhook:" + context.task_id(),
        "task",
        "process_invoice_image_async",
        {{"args", Json::array({text("blob_url"), text("filename"), task_id, options})}, {"queue", "celery"}}};
    result["celery_task_id"] = with_database(config.processing.database_url, [&](Database& database) {
      return send_once(context, database, next);
    });
    result["message"] = "the invoice was queued";
  } else {
    result["message"] = "nothing is done for webhooks of this type";
  }
  result["completed_at"] = milliseconds_now();
  return result;
}

class ImageRun {
 public:
  ImageRun(Context& context, const AliasConfig& config, const std::string& filename,
           const std::string& task_id, const Json& options)
      : context_(context),
        config_(config),
        filename_(filename),
        task_id_(task_id),
        options_(read_options(options)),
        events_(config.websocket_events_url) {}

  // These clients look for a result that tells of the failure, not for a failed task.
  Json operator()(const std::string& data) {
    try {
      const Json result = answer(process(data), filename_, task_id_, options_);
      tell({{"type", "complete"}, {"result", result}});
      notify("job_completed", "completed", "");
      return result;
    } catch (const TaskError& error) {
      return failed(error.what());
    } catch (const StorageError& error) {
      return failed(error.what());
    }
  }

 private:
  Json process(const std::string& data) {
    stage("fetch", "Fetching the document");
    const bool elsewhere = data.starts_with("http://") || data.starts_with("https://");
    const std::string bytes = elsewhere
                                  ? fetch_document(context_, config_.processing, config_.document_hosts, data)
                                  : document_bytes(data);
    const auto storage = make_storage(config_.processing.storage_root);
    const auto reader = read_memory(bytes);
    const auto stored = storage->put(*reader, "", config_.processing.max_bytes);
    ProcessingConfig processing = config_.processing;
    processing.on_progress = [this](std::string_view name, int percent) {
      const Shown now = shown(name);
      if (now.stage != stage_ && now.stage != "complete") stage(now.stage, now.message);
      tell({{"type", "progress"}, {"progress", percent}, {"message", now.message}, {"stage", now.stage}});
    };
    Json options = {{"file_name", filename_}, {"upload_source", "api"}};
    if (is_uuid(task_id_)) options["job_id"] = task_id_;
    if (!options_.user_id.empty()) options["user_id"] = options_.user_id;
    return process_document(context_, processing, stored.uri, options);
  }

  Json failed(const std::string& why) {
    tell({{"type", "error"}, {"error", why}});
    notify("job_failed", "failed", why);
    return {{"task_id", task_id_}, {"success", false}, {"error", why}};
  }

  void stage(std::string_view name, std::string_view description) {
    stage_ = name;
    tell({{"type", "stage_start"}, {"stage", name}, {"description", description}});
  }
  void tell(Json data) {
    if (!events_.task_update(task_id_, std::move(data)) && !std::exchange(warned_, true))
      context_.log(log_warning,
                   "progress is not published: the server of websocket_events_url does not answer");
  }
  void notify(const char* type, const char* status, const std::string& error) {
    if (options_.user_id.empty()) return;
    Json data = {{"type", type}, {"task_id", task_id_}, {"status", status}, {"filename", filename_}};
    if (!error.empty()) data["error"] = error;
    events_.user_notification(options_.user_id, std::move(data));
  }

  Context& context_;
  const AliasConfig& config_;
  const std::string &filename_, &task_id_;
  const ImageOptions options_;
  WebsocketEvents events_;
  std::string stage_;
  bool warned_ = false;
};

}  // namespace

void register_doxin_names(App& app, const AliasConfig& config) {
  TaskOptions options;
  options.params = {"image_data_or_url", "filename", "task_id", "options"};
  options.defaults = {{"options", nullptr}};
  options.queue = "celery";
  options.acks_late = true;
  options.reject_on_worker_lost = true;
  options.max_retries = 0;
  options.soft_time_limit = 300;
  options.time_limit = 360;
  app.task(
      "process_invoice_image_async",
      [config](Context& context, const std::string& data, const std::string& filename,
               const std::string& task_id,
               const Json& wishes) { return ImageRun(context, config, filename, task_id, wishes)(data); },
      options);

  options.params = {"webhook_data", "task_id"};
  options.defaults = {};
  app.task(
      "process_webhook_request_async",
      [config](Context& context, const Json& data, const std::string& task_id) {
        return webhook(context, config, data, task_id);
      },
      std::move(options));
}

}  // namespace celeriac
