#include "cli/print_result.hpp"

#include "protocol/json.hpp"
#include "protocol/result.hpp"

#include <ostream>

namespace celeriac {
namespace {

std::string member(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// "ValueError: boom", from the stored {"exc_type", "exc_message", "exc_module"}.
std::string exception_line(const Json& result) {
  if (!result.is_object()) return dump_json(result);
  auto type = member(result, "exc_type");
  auto found = result.find("exc_message");
  if (found == result.end()) return type;
  std::string text;
  if (found->is_array())
    for (const auto& item : *found)
      text += (text.empty() ? "" : ", ") + (item.is_string() ? item.get<std::string>() : dump_json(item));
  else
    text = found->is_string() ? found->get<std::string>() : dump_json(*found);
  return text.empty() ? type : type + ": " + text;
}

}  // namespace

int print_result(CommandContext& context, Session& session, const std::string& id, PrintResult how) {
  auto results = session.results();
  if (!results) {
    context.err << "Error: " << results.error().what << "\n";
    return exit_code::unavailable;
  }
  // The store's own clock answers at the limit; one day at a time stands for "for ever".
  constexpr double day = 86400;
  Expected<Json> document = unexpected("");
  do {
    auto limit = std::chrono::milliseconds(static_cast<std::int64_t>(how.timeout.value_or(day) * 1000));
    document = session.wait<Json>([&](auto answer) { (*results)->wait(id, limit, answer); }, std::nullopt);
  } while (!document && !how.timeout && !session.lost());
  if (!document) {
    context.err << "Error: " << document.error().what << "\n";
    return session.lost() ? exit_code::unavailable : exit_code::failure;
  }
  auto status = member(*document, "status");
  auto traceback = member(*document, "traceback");
  bool failed = is_exception(status);
  auto found = document->find("result");
  Json value = found == document->end() ? Json(nullptr) : *found;
  if (how.json) {
    context.out << dump_json(*document) << "\n";
  } else if (how.traceback) {
    context.out << traceback << (traceback.empty() || traceback.back() == '\n' ? "" : "\n");
  } else if (failed) {
    if (!traceback.empty()) context.err << traceback << (traceback.back() == '\n' ? "" : "\n");
    context.err << exception_line(value) << "\n";
  } else {
    context.out << (value.is_string() ? value.get<std::string>() : dump_json(value)) << "\n";
  }
  return failed && !how.traceback ? exit_code::failure : exit_code::ok;
}

}  // namespace celeriac
