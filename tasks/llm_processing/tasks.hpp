// The tasks of the queue llm_processing:
//
//   llm_processing.complete(prompt, schema, options)     one question, one checked answer
//   llm_processing.patch_fields(invoice_id, options)     corrects what the reader was unsure of
//
// docs/llm.md says what they take, return and fail with.
#pragma once

#include "tasks/llm_processing/complete.hpp"
#include "worker/app.hpp"

#include <memory>

namespace celeriac {

using LlmServicePtr = std::shared_ptr<LlmService>;

boost::asio::awaitable<Json> ask_model(LlmServicePtr service, Context& context, std::string prompt,
                                       Json schema, Json options);

boost::asio::awaitable<Json> patch_fields(LlmServicePtr service, Context& context, std::string invoice_id,
                                          Json options);

void register_llm_processing(App& app, LlmConfig config);

}  // namespace celeriac
