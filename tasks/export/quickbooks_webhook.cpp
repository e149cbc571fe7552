#include "protocol/base64.hpp"
#include "tasks/export/quickbooks.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"

namespace celeriac {
namespace {

TaskError not_signed(const std::string& why) { return invoice_error("WebhookNotSigned", why); }

// Intuit writes no space between the parts, and an object keeps its members' order.
std::string body_of(const Json& data) {
  return data.is_string() ? data.get<std::string>()
                          : data.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void verify(const std::string& verifier_token, const Json& data, const Json& signature) {
  if (!signature.is_string() || signature.get<std::string>().empty())
    throw not_signed("the webhook has no signature: hand on the header intuit-signature");
  const auto mac = base64_decode(signature.get<std::string>());
  if (!mac) throw not_signed("the webhook's signature is no base64: " + mac.error().what);
  if (!is_hmac_sha256(verifier_token, body_of(data), *mac))
    throw not_signed(
        "the webhook was not signed with quickbooks_verifier_token, or is not as it came: "
        "webhook_data may be the request's body as a text");
}

Json list_in(const Json& in, const char* name) {
  const auto found = in.is_object() ? in.find(name) : in.end();
  return in.is_object() && found != in.end() && found->is_array() ? *found : Json::array();
}

std::string text_in(const Json& in, const char* name) {
  const auto found = in.is_object() ? in.find(name) : in.end();
  return in.is_object() && found != in.end() && found->is_string() ? found->get<std::string>()
                                                                   : std::string();
}

}  // namespace

Json note_quickbooks_webhook(Database& database, const std::string& verifier_token, const Json& webhook_data,
                             const Json& signature) {
  if (!verifier_token.empty()) verify(verifier_token, webhook_data, signature);
  Json data = webhook_data;
  if (webhook_data.is_string()) {
    auto read = parse_json(webhook_data.get<std::string>());
    if (!read)
      throw BadArguments("process_quickbooks_webhook: webhook_data is no JSON: " + read.error().what);
    data = std::move(*read);
  }
  int entities = 0, known = 0;
  for (const auto& notice : list_in(data, "eventNotifications")) {
    const Json event = notice.is_object() ? notice.value("dataChangeEvent", Json::object()) : Json::object();
    for (const auto& entity : list_in(event, "entities")) {
      ++entities;
      if (text_in(entity, "name") != "Bill") continue;
      known += database
                   .run(
                       "UPDATE quickbooks_exports e SET remote_operation = $3, updated_at = now() FROM "
                       "quickbooks_connections c WHERE c.id = e.connection_id AND c.realm_id = $1 AND "
                       "e.bill_id = $2",
                       {clean_text(text_in(notice, "realmId"), 50), clean_text(text_in(entity, "id"), 50),
                        text_value(text_in(entity, "operation"), 20)})
                   .affected();
    }
  }
  return {{"status", "processed"}, {"entities", entities}, {"known_bills", known}};
}

}  // namespace celeriac
