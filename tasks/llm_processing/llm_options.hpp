// The `options` argument of the queue's tasks.
#pragma once

#include "protocol/json.hpp"

#include <string>

namespace celeriac {

struct LlmOptions {
  std::string system, model, operation, user_id, invoice_id;
  std::string tenant = "default";
  int max_tokens = 0;       // 0: the configured number
  double temperature = -1;  // below 0: the configured one
};

// Null or an object. Throws BadArguments for what is not known or does not fit.
LlmOptions read_llm_options(const std::string& task, const Json& options);

}  // namespace celeriac
