#include "tasks/export/quickbooks.hpp"
#include "tasks/store/text_values.hpp"

namespace celeriac {

Json note_quickbooks_webhook(Database& database, const Json& data) {
  const auto list = [](const Json& in, const char* name) {
    const auto found = in.is_object() ? in.find(name) : in.end();
    return in.is_object() && found != in.end() && found->is_array() ? *found : Json::array();
  };
  const auto text = [](const Json& in, const char* name) {
    const auto found = in.is_object() ? in.find(name) : in.end();
    return in.is_object() && found != in.end() && found->is_string() ? found->get<std::string>()
                                                                     : std::string();
  };
  int entities = 0, known = 0;
  for (const auto& notice : list(data, "eventNotifications")) {
    const Json event = notice.is_object() ? notice.value("dataChangeEvent", Json::object()) : Json::object();
    for (const auto& entity : list(event, "entities")) {
      ++entities;
      if (text(entity, "name") != "Bill") continue;
      known += database
                   .run(
                       "UPDATE quickbooks_exports e SET remote_operation = $3, updated_at = now() FROM "
                       "quickbooks_connections c WHERE c.id = e.connection_id AND c.realm_id = $1 AND "
                       "e.bill_id = $2",
                       {clean_text(text(notice, "realmId"), 50), clean_text(text(entity, "id"), 50),
                        text_value(text(entity, "operation"), 20)})
                   .affected();
    }
  }
  return {{"status", "processed"}, {"entities", entities}, {"known_bills", known}};
}

}  // namespace celeriac
