# The tasks of the queue llm_processing, in celeriac_invoices.
target_sources(celeriac_invoices PRIVATE
  engines/http_await.cpp
  llm_processing/analyze_text.cpp llm_processing/anthropic.cpp llm_processing/answer.cpp llm_processing/ask_model.cpp llm_processing/budget.cpp
  llm_processing/chat.cpp llm_processing/complete.cpp llm_processing/llm_options.cpp llm_processing/openai.cpp
  llm_processing/patch.cpp llm_processing/patch_fields.cpp llm_processing/patch_writer.cpp
  llm_processing/provider.cpp llm_processing/register.cpp llm_processing/routing.cpp)
