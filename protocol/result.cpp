#include "protocol/result.hpp"

#include "protocol/json_scanner.hpp"
#include "protocol/repr.hpp"
#include "protocol/time.hpp"

namespace celeriac {
namespace {

std::string_view or_null(std::string_view json) { return json.empty() ? std::string_view("null") : json; }

void text_or_null(std::string_view text, std::string& out) {
  if (text.empty()) {
    out += "null";
  } else {
    dump_json_string(text, out);
  }
}

// The names of the stamps as an array, then each stamp as a member of its own.
void append_stamps(std::string_view stamps, std::string& out) {
  std::string names, members;
  JsonScanner in(stamps);
  JsonSlice key;
  std::string_view value;
  if (!in.enter_object()) return;
  while (in.next_key(key) && in.skip_value(value)) {
    if (!names.empty()) names += ", ";
    names.append("\"").append(key.text).append("\"");
    members.append(", \"").append(key.text).append("\": ").append(value);
  }
  if (!in.finish() || names.empty()) return;
  out.append(", \"stamped_headers\": [").append(names).append("]").append(members);
}

// Without a name there was no request to describe: an unregistered task, for one.
void append_request(const TaskResult& r, std::string& out) {
  const bool known = !r.name.empty();
  out += ", \"name\": ";
  text_or_null(r.name, out);
  out += ", \"args\": ";
  out += known ? or_null(r.args) : "null";
  out += ", \"kwargs\": ";
  out += known ? or_null(r.kwargs) : "null";
  out += ", \"worker\": ";
  text_or_null(r.worker, out);
  out += ", \"retries\": ";
  out += known ? std::to_string(r.retries) : "null";
  out += ", \"queue\": ";
  text_or_null(r.queue, out);
  if (!r.stamps.empty()) append_stamps(r.stamps, out);
}

}  // namespace

bool is_ready(std::string_view name) {
  return name == state::success || name == state::failure || name == state::revoked;
}

bool is_exception(std::string_view name) {
  return name == state::failure || name == state::retry || name == state::revoked;
}

std::string ExceptionInfo::json() const {
  std::string out = "{\"exc_type\": ";
  dump_json_string(type, out);
  out += ", \"exc_message\": ";
  out += args.empty() ? "[]" : args;
  out += ", \"exc_module\": ";
  text_or_null(module, out);
  out += '}';
  return out;
}

std::string ExceptionInfo::repr() const {
  const auto values = parse_json(args);
  if (!values) return type + "()";
  if (!values->is_array()) return type + "(" + python_repr(*values, 0) + ")";
  std::string out = type + "(";
  bool first = true;
  for (const auto& value : *values) {
    if (!first) out += ", ";
    first = false;
    out += python_repr(value, 0);
  }
  return out + ")";
}

void write_result(const TaskResult& r, std::string& out) {
  out += "{\"status\": ";
  dump_json_string(r.status, out);
  out += ", \"result\": ";
  out += or_null(r.result);
  out += ", \"traceback\": ";
  text_or_null(r.traceback, out);
  out += ", \"children\": ";
  out += or_null(r.children);
  out += ", \"date_done\": ";
  text_or_null(is_ready(r.status) ? format_iso8601(r.date_done) : "", out);
  if (!r.group_id.empty()) {
    out += ", \"group_id\": ";
    dump_json_string(r.group_id, out);
  }
  if (!r.parent_id.empty()) {
    out += ", \"parent_id\": ";
    dump_json_string(r.parent_id, out);
  }
  if (r.extended) append_request(r, out);
  out += ", \"task_id\": ";
  dump_json_string(r.task_id, out);
  out += '}';
}

std::string write_result(const TaskResult& result) {
  std::string out;
  write_result(result, out);
  return out;
}

Expected<Json> read_result(std::string_view text) {
  auto value = parse_json(text);
  if (!value) return unexpected("result: " + value.error().what);
  const bool is_document = value->is_object() && value->contains("status") && (*value)["status"].is_string();
  if (!is_document) return unexpected("result: no document with a status");
  return value;
}

}  // namespace celeriac
