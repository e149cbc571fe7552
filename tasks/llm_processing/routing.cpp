#include "tasks/llm_processing/routing.hpp"

#include <algorithm>

namespace celeriac {

Difficulty difficulty_of(std::size_t weak_fields, double document_confidence, std::size_t text_bytes) {
  if (weak_fields > 6 || document_confidence < 0.5 || text_bytes > 20'000) return Difficulty::hard;
  if (weak_fields <= 2 && document_confidence >= 0.7 && text_bytes <= 4'000) return Difficulty::simple;
  return Difficulty::normal;
}

std::vector<std::string> models_for(const LlmConfig& config, Difficulty difficulty) {
  std::vector<std::string> models;
  const auto add = [&](const std::string& model) {
    if (!model.empty() && std::ranges::find(models, model) == models.end()) models.push_back(model);
  };
  if (difficulty == Difficulty::simple) add(config.model_simple);
  if (difficulty == Difficulty::hard) add(config.model_complex);
  add(config.model);
  for (const auto& model : config.fallback_models) add(model);
  return models;
}

double price_of(const LlmConfig& config, const std::string& model, int prompt_tokens, int completion_tokens) {
  auto found = config.prices.find(model);
  if (found == config.prices.end()) found = config.prices.find("*");
  const Price price = found == config.prices.end() ? default_price : found->second;
  return (price.prompt * prompt_tokens + price.completion * completion_tokens) / 1000;
}

}  // namespace celeriac
