#include "tasks/llm_processing/answer.hpp"

#define VALIJSON_USE_EXCEPTIONS 1  // else it aborts the process over an unusable schema
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace celeriac {
namespace {

constexpr std::size_t max_faults = 5;  // told to the model

std::string_view braces(std::string_view text) {
  const auto first = text.find_first_of("{[");
  const auto last = text.find_last_of("}]");
  return first == std::string_view::npos || last == std::string_view::npos || last < first
             ? std::string_view()
             : text.substr(first, last - first + 1);
}

// valijson reads nlohmann's own type; ours keeps the order of keys.
nlohmann::json plain(const Json& value) { return nlohmann::json(value); }

void read_schema(const Json& schema, valijson::Schema& out) {
  const nlohmann::json document = plain(schema);
  valijson::SchemaParser parser;
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(document), out);
}

}  // namespace

Expected<bool> check_schema(const Json& schema) {
  if (!schema.is_object()) return unexpected("a schema must be an object");
  try {
    valijson::Schema parsed;
    read_schema(schema, parsed);
  } catch (const std::exception& error) {
    return unexpected(std::string("not a usable schema: ") + error.what());
  }
  return true;
}

Expected<Json> read_structured(std::string_view text, const Json& schema) {
  auto value = parse_json(text);
  if (!value) value = parse_json(braces(text));
  if (!value) return unexpected("The answer is no JSON: " + value.error().what);
  try {
    valijson::Schema parsed;
    read_schema(schema, parsed);
    const nlohmann::json target = plain(*value);
    valijson::Validator validator;
    valijson::ValidationResults results;
    if (validator.validate(parsed, valijson::adapters::NlohmannJsonAdapter(target), &results)) return *value;
    std::string faults = "The JSON does not fit the schema:";
    valijson::ValidationResults::Error error;
    for (std::size_t i = 0; i < max_faults && results.popError(error); ++i) {
      faults += "\n- ";
      for (const auto& step : error.context) faults += step;
      faults += ": " + error.description;
    }
    return unexpected(std::move(faults));
  } catch (const std::exception& error) {
    return unexpected(std::string("The JSON could not be held against the schema: ") + error.what());
  }
}

}  // namespace celeriac
