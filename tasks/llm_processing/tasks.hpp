// The tasks of the queue llm_processing:
//
//   llm_processing.complete(prompt, schema, options)     one question, one checked answer
//   llm_processing.patch_fields(invoice_id, options)     corrects what the reader was unsure of
//   process_text_analysis_async(text_content, analysis_type, task_id, options)    as DoxIn's clients send it
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

// {"task_id", "analysis_type", "analysis_result", "completed_at" (ms)}; after so many retries
// {"task_id", "success": false, "error"}.
constexpr int analyze_text_retries = 3;
boost::asio::awaitable<Json> analyze_text(LlmServicePtr service, Context& context, std::string text,
                                          std::string type, std::string task_id);

void register_llm_processing(App& app, LlmConfig config);

}  // namespace celeriac
