// The settings of the queue llm_processing.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace celeriac {

struct Price {
  double prompt = 0, completion = 0;  // USD for a thousand tokens
};

struct LlmConfig {
  std::string database_url;
  std::string circuit_breaker_url;  // redis://; empty: this process only
  std::string provider = "openai", base_url, api_key;
  std::string model, model_simple, model_complex;  // the latter two: empty for `model`
  std::vector<std::string> fallback_models;
  std::map<std::string, Price> prices;  // "*" for every other model
  int max_tokens = 1000;
  double temperature = 0.1;
  bool stream = false;
  std::chrono::milliseconds timeout{60'000};
  double cost_per_invoice = 0.10, daily_cost = 100, monthly_cost = 2000;  // USD; 0: no cap
  std::chrono::seconds cache_expires{86400};
};

// AP's basic price where nothing is configured, so that a cap on money always means something.
constexpr Price default_price{0.001, 0.002};

}  // namespace celeriac
