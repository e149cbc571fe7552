#include "tasks/store/slot_database.hpp"

#include <cctype>

namespace celeriac {

Database& slot_database(const std::string& url) {
  thread_local std::unique_ptr<Database> database;
  thread_local std::string opened;
  if (!database || opened != url) {
    database = std::make_unique<Database>(url);
    opened = url;
  }
  return *database;
}

TaskError task_error(const DatabaseError& error) {
  return TaskError(std::string(to_string(error.kind)), Json::array({error.what()}), "celeriac.database");
}

TaskError invoice_error(std::string type, const std::string& message) {
  return TaskError(std::move(type), Json::array({message}), "celeriac.invoices");
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? c != '-' : !std::isxdigit(c)) return false;
  }
  return true;
}

}  // namespace celeriac
