#include "tasks/llm_processing/llm_options.hpp"

#include "tasks/store/slot_database.hpp"
#include "worker/errors.hpp"

namespace celeriac {

LlmOptions read_llm_options(const std::string& task, const Json& options) {
  LlmOptions out;
  if (options.is_null()) return out;
  if (!options.is_object()) throw BadArguments(task + ": options must be an object");
  for (const auto& [key, value] : options.items()) {
    if (value.is_null()) continue;
    if (key == "max_tokens") {
      if (!value.is_number_integer() || value < 1 || value > 100'000)
        throw BadArguments(task + ": option 'max_tokens' must be a whole number from 1 to 100000");
      out.max_tokens = value.get<int>();
      continue;
    }
    if (key == "temperature") {
      if (!value.is_number() || value < 0 || value > 2)
        throw BadArguments(task + ": option 'temperature' must be a number from 0 to 2");
      out.temperature = value.get<double>();
      continue;
    }
    std::string* target = key == "system"       ? &out.system
                          : key == "model"      ? &out.model
                          : key == "operation"  ? &out.operation
                          : key == "tenant"     ? &out.tenant
                          : key == "user_id"    ? &out.user_id
                          : key == "invoice_id" ? &out.invoice_id
                                                : nullptr;
    if (!target) throw BadArguments(task + ": unknown option '" + key + "'");
    if (!value.is_string()) throw BadArguments(task + ": option '" + key + "' must be a string");
    *target = value.get<std::string>();
    if (target != &out.system && target->size() > 100)
      throw BadArguments(task + ": option '" + key + "' has more than 100 characters");
  }
  if (out.tenant.empty()) out.tenant = "default";
  for (const auto* id : {&out.user_id, &out.invoice_id})
    if (!id->empty() && !is_uuid(*id)) throw BadArguments(task + ": '" + *id + "' is not a UUID");
  return out;
}

}  // namespace celeriac
