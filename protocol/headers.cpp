// Writing a message's headers: the text that read_task reads.
#include "protocol/body.hpp"
#include "protocol/time.hpp"

#include <cmath>

namespace celeriac {
namespace {

class HeaderWriter {
 public:
  void raw(std::string_view key, std::string_view json) {
    out_ += out_.size() == 1 ? "\"" : ", \"";
    out_ += key;
    out_ += "\": ";
    out_ += json;
  }
  void text(std::string_view key, std::string_view value) {
    raw(key, "");
    dump_json_string(value, out_);
  }
  void text_or_null(std::string_view key, std::string_view value) {
    value.empty() ? raw(key, "null") : text(key, value);
  }
  void time(std::string_view key, const std::string& received, std::optional<double> seconds) {
    text_or_null(key, received.empty() && seconds ? format_iso8601(*seconds) : received);
  }
  std::string finish() { return std::move(out_ += '}'); }

 private:
  std::string out_ = "{";
};

// Python sends the limits as the caller wrote them, mostly whole.
std::string limit(std::optional<double> seconds) {
  if (!seconds) return "null";
  const bool whole = std::floor(*seconds) == *seconds && std::abs(*seconds) < 1e15;
  return whole ? std::to_string(static_cast<std::int64_t>(*seconds)) : dump_json(Json(*seconds));
}

}  // namespace

std::string write_headers(const TaskHeaders& h, const Json& extra) {
  HeaderWriter out;
  out.text("lang", h.lang.empty() ? "py" : h.lang);
  out.text("task", h.task);
  out.text("id", h.id);
  out.text_or_null("shadow", h.shadow);
  out.time("eta", h.eta_text, h.eta);
  out.time("expires", h.expires_text, h.expires);
  out.text_or_null("group", h.group);
  out.raw("group_index", h.group_index ? std::to_string(*h.group_index) : "null");
  out.raw("retries", std::to_string(h.retries));
  out.raw("timelimit", "[" + limit(h.time_limit) + ", " + limit(h.soft_time_limit) + "]");
  out.text_or_null("root_id", h.root_id);
  out.text_or_null("parent_id", h.parent_id);
  out.text("argsrepr", h.argsrepr);
  out.text("kwargsrepr", h.kwargsrepr);
  out.text("origin", h.origin);
  out.raw("ignore_result", !h.ignore_result ? "null" : *h.ignore_result ? "true" : "false");
  out.raw("replaced_task_nesting", std::to_string(h.replaced_task_nesting));
  out.raw("stamped_headers", h.stamped_headers.empty() ? "null" : h.stamped_headers);
  out.raw("stamps", h.stamps.empty() ? "{}" : h.stamps);
  if (extra.is_object()) {
    for (const auto& [key, value] : extra.get_ref<const Json::object_t&>()) {
      std::string name;
      dump_json_string(key, name);
      out.raw(std::string_view(name).substr(1, name.size() - 2), dump_json(value));
    }
  }
  // The publisher adds it when it compresses, after everything else.
  if (!h.compression.empty()) out.text("compression", h.compression);
  return out.finish();
}

}  // namespace celeriac
