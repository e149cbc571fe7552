// Which model is asked: a small one for simple work, a large one for hard work, and others
// when one does not answer. Pure.
#pragma once

#include "tasks/llm_processing/llm_config.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace celeriac {

enum class Difficulty { simple, normal, hard };

// Of correcting fields: how many, how unsure the reader was of the document, how long it is.
Difficulty difficulty_of(std::size_t weak_fields, double document_confidence, std::size_t text_bytes);

// The models to try, best first, none twice. Empty when no model is configured.
std::vector<std::string> models_for(const LlmConfig& config, Difficulty difficulty);

// USD for the tokens, by llm_prices.
double price_of(const LlmConfig& config, const std::string& model, int prompt_tokens, int completion_tokens);

}  // namespace celeriac
