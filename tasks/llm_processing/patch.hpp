// Correcting the fields a reader was unsure of: which ones, what a model is asked about them,
// and which of its corrections are believed. Pure: JSON of invoice_extractions in and out.
//
// What stands in the document, and so in the fields, is data: it reaches the model as JSON
// strings inside of one JSON object, and nothing the model says can touch a field that was
// not weak, bank details, or the form of a value.
#pragma once

#include "protocol/json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

enum class ValueKind { identifier, name, date, currency, amount, description };

struct WeakField {
  std::string key;  // "invoice_number", "line_1.description"
  std::string field;
  int line = 0;  // from 1; 0 for the header
  ValueKind kind = ValueKind::name;
  std::string value;
  double confidence = 0;
};

struct WeakLimits {
  double from = 0.3, below = 0.85;  // confidence
  int lines = 3;
  std::size_t fields = 10;  // asked at once, the most important first
};

// Fields with a value whose confidence is in [from, below), the most important first.
std::vector<WeakField> weak_fields(const Json& header, const Json& lines, const WeakLimits& limits = {});

// What the model is told, and the JSON Schema of its answer: {"corrections": [{"field", "value"}]}.
std::string patch_system_prompt();
std::string patch_prompt(const Json& header, const Json& lines, const std::vector<WeakField>& weak);
Json patch_schema(const std::vector<WeakField>& weak);

struct Patch {
  WeakField before;
  std::string value;
  double confidence = 0;
  std::string refusal;  // empty: accepted
};

// The model's corrections, judged one by one: of a weak field, in the field's form, found in the document as
// far as its text is known (`text` in the header), amounts not against each other. Each field once.
std::vector<Patch> judge(const Json& answer, const Json& header, const std::vector<WeakField>& weak);

struct Patched {
  Json header, lines, confidence;  // as stored in invoice_extractions
  double overall = 0;
  bool changed = false;
};

// The accepted ones applied. Each changed field has source "llm" and keeps what it replaced under "previous".
Patched apply(const std::vector<Patch>& patches, const Json& header, const Json& lines,
              const Json& confidence, std::string_view model);

// The text reads like instructions to a model rather than like an invoice.
bool looks_like_instructions(std::string_view text);

}  // namespace celeriac
