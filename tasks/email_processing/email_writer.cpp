#include "tasks/email_processing/email_writer.hpp"

#include "protocol/time.hpp"
#include "protocol/uuid.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/text_values.hpp"

#include <algorithm>

namespace celeriac {
namespace {

constexpr std::size_t max_body_text = 64 << 10;  // characters

std::string json_list(const std::vector<std::string>& texts, std::size_t max_characters) {
  Json out = Json::array();
  for (const auto& text : texts) out.push_back(clean_text(text, max_characters));
  return dump_json(out);
}

std::string from_json_list(const std::string& parameter) {
  return "ARRAY(SELECT json_array_elements_text(" + parameter + "::json))";
}

void log_step(Database& database, const std::string& email_id, const std::string& step, bool success,
              const Json& details) {
  database.run(
      "INSERT INTO email_processing_logs (id, email_id, step, success, details) VALUES ($1, $2, $3, $4, $5)",
      {uuid4(), email_id, step, success ? "true" : "false", dump_json(details)});
}

std::string extension_of(const std::string& filename) {
  const auto dot = filename.rfind('.');
  std::string extension = dot == std::string::npos ? ".bin" : filename.substr(dot);
  const bool plain =
      extension.size() <= 6 && std::all_of(extension.begin() + 1, extension.end(),
                                           [](unsigned char c) { return std::isalnum(c) != 0; });
  if (!plain) return ".bin";
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

struct EmailRow {
  std::string id, status;
  bool same_message = true;  // this very message, not another copy of the mail
};

EmailRow find_or_make(Database& database, const EmailSource& source, const Mail& mail,
                      const std::vector<std::string>& flags) {
  return database.transaction([&] {
    const std::string hash = message_hash(mail);
    database.run(
        "INSERT INTO emails (id, account, provider, provider_id, message_id, message_hash, subject, "
        "from_address,"
        " from_name, to_addresses, sent_at, body_text, has_attachments, attachment_count, is_trusted_sender,"
        " security_flags, vendor_name, status, task_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, " +
            from_json_list("$10") + ", $11, $12, $13, $14, $15, " + from_json_list("$16") +
            ", $17, 'received', $18) ON CONFLICT DO NOTHING",
        {uuid4(), source.account, source.provider, source.provider_id, text_value(mail.message_id, 998), hash,
         clean_text(mail.subject, 2000), clean_text(mail.from_address, 320), clean_text(mail.from_name, 320),
         json_list(mail.to, 320), mail.sent_at ? SqlValue(format_iso8601(*mail.sent_at)) : SqlValue(),
         clean_text(mail.text, max_body_text, true), mail.attachments.empty() ? "false" : "true",
         std::to_string(mail.attachments.size()),
         std::ranges::find(flags, "untrusted_sender") == flags.end() ? "true" : "false",
         json_list(flags, 100), text_value(vendor_of(mail), 255), source.task_id});
    const Rows rows = database.run(
        "SELECT id, status, provider_id = $3 FROM emails WHERE account = $1 AND (message_hash = $2"
        " OR (provider = $4 AND provider_id = $3)) ORDER BY created_at LIMIT 1 FOR UPDATE",
        {source.account, hash, source.provider_id, source.provider});
    EmailRow row{rows.str(0, 0), rows.str(0, 1), rows.truth(0, 2)};
    if (!row.same_message) {
      const Json details = {{"provider", source.provider}, {"provider_id", source.provider_id}};
      const Rows noted = database.run(
          "SELECT 1 FROM email_processing_logs WHERE email_id = $1 AND step = 'duplicate' AND"
          " details->>'provider_id' = $2",
          {row.id, source.provider_id});
      if (noted.empty()) log_step(database, row.id, "duplicate", true, details);
    }
    return row;
  });
}

bool is_final(const std::string& status) { return status != "received" && status != "processing"; }

class Ingest {
 public:
  Ingest(Context& context, Database& database, Storage& storage, const EmailRules& rules,
         const EmailSource& source, const Mail& mail, const FetchAttachment& fetch)
      : context_(context),
        database_(database),
        storage_(storage),
        rules_(rules),
        source_(source),
        mail_(mail),
        fetch_(fetch) {}

  EmailOutcome operator()() {
    const std::vector<std::string> flags = security_flags(mail_, rules_);
    const EmailRow row = find_or_make(database_, source_, mail_, flags);
    EmailOutcome outcome{row.id, row.status, 0, 0};
    if (is_final(row.status)) {
      outcome.status = row.same_message ? row.status : "duplicate";
      return outcome;
    }
    if (is_blocked(flags)) {
      const Json details = {{"flags", flags}};
      finish(row.id, "blocked", details);
      outcome.status = "blocked";
      return outcome;
    }
    for (const MailAttachment& attachment : mail_.attachments) {
      context_.checkpoint();
      take(row.id, attachment);
      ++outcome.attachments;
    }
    outcome.queued = send_stored(row.id);
    const Rows worth = database_.run(
        "SELECT count(*) FROM email_attachments WHERE email_id = $1 AND status IN ('queued', 'processed', "
        "'duplicate')",
        {row.id});
    outcome.status = worth.str(0, 0) == "0" ? "ignored" : "processed";
    const Json details = {{"attachments", outcome.attachments}, {"queued", outcome.queued}};
    finish(row.id, outcome.status, details);
    return outcome;
  }

 private:
  void finish(const std::string& email_id, const std::string& status, const Json& details) {
    database_.transaction([&] {
      database_.run("UPDATE emails SET status = $2, processed_at = now(), updated_at = now() WHERE id = $1",
                    {email_id, status});
      log_step(database_, email_id, "finished", true, details);
    });
  }

  // Into the store and its row; an earlier run may have been here.
  void take(const std::string& email_id, const MailAttachment& found) {
    const Rows known = database_.run("SELECT status FROM email_attachments WHERE email_id = $1 AND part = $2",
                                     {email_id, clean_text(found.part, 100)});
    if (!known.empty()) return;
    MailAttachment attachment = found;
    std::string refusal;
    if (attachment.bytes.empty() && !attachment.provider_id.empty()) {
      refusal = early_refusal_of(attachment, rules_);
      if (refusal.empty()) {
        attachment.bytes = fetch_(attachment);
        attachment.size = attachment.bytes.size();
      }
    }
    if (refusal.empty()) refusal = refusal_of(attachment, rules_);
    if (!refusal.empty()) return write(email_id, attachment, "refused", "", "", refusal);
    const auto reader = read_memory(attachment.bytes);
    const StoredObject stored =
        storage_.put(*reader, extension_of(attachment.filename), rules_.max_attachment_bytes);
    write(email_id, attachment, "stored", stored.sha256, stored.uri, "");
  }

  // One content is worked on once for each account, also when two mails bring it at the same time.
  void write(const std::string& email_id, const MailAttachment& attachment, std::string status,
             const std::string& hash, const std::string& uri, const std::string& refusal) {
    database_.transaction([&] {
      SqlValue first;
      if (!hash.empty()) {
        database_.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", {source_.account + hash});
        const Rows same = database_.run(
            "SELECT a.id FROM email_attachments a JOIN emails e ON e.id = a.email_id WHERE e.account = $1"
            " AND a.content_hash = $2 AND a.status IN ('stored', 'queued', 'processed') LIMIT 1",
            {source_.account, hash});
        if (!same.empty()) {
          first = same.str(0, 0);
          status = "duplicate";
        }
      }
      const auto optional = [](const std::string& text) {
        return text.empty() ? SqlValue() : SqlValue(text);
      };
      database_.run(
          "INSERT INTO email_attachments (id, email_id, part, provider_id, filename, content_type, "
          "size_bytes,"
          " content_hash, storage_uri, status, refusal, duplicate_of, process_task_id)"
          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (email_id, part) DO "
          "NOTHING",
          {uuid4(), email_id, clean_text(attachment.part, 100), text_value(attachment.provider_id, 2000),
           clean_text(attachment.filename, 500),
           text_value(attachment.content_type, 100).value_or("application/octet-stream"),
           std::to_string(attachment.size), optional(hash), optional(uri), status, optional(refusal), first,
           status == "stored" ? SqlValue(uuid4()) : SqlValue()});
    });
  }

  // The row is locked until the broker has the message, whose id was fixed beforehand.
  int send_stored(const std::string& email_id) {
    int sent = 0;
    const Rows waiting = database_.run(
        "SELECT id FROM email_attachments WHERE email_id = $1 AND status = 'stored' ORDER BY part",
        {email_id});
    for (int i = 0; i < waiting.size(); ++i) {
      database_.transaction([&] {
        const Rows row = database_.run(
            "SELECT process_task_id, storage_uri, filename FROM email_attachments WHERE id = $1"
            " AND status = 'stored' FOR UPDATE",
            {waiting.str(i, 0)});
        if (row.empty()) return;
        SendOptions send;
        send.task_id = row.str(0, 0);
        send.queue = "invoice_processing";
        const Json options = {{"file_name", row.str(0, 2)}, {"upload_source", "email"}};
        context_.send("invoice_processing.process_document", Json::array({row.str(0, 1), options}),
                      Json::object(), send);
        database_.run("UPDATE email_attachments SET status = 'queued', updated_at = now() WHERE id = $1",
                      {waiting.str(i, 0)});
        ++sent;
      });
    }
    return sent;
  }

  Context& context_;
  Database& database_;
  Storage& storage_;
  const EmailRules& rules_;
  const EmailSource& source_;
  const Mail& mail_;
  const FetchAttachment& fetch_;
};

}  // namespace

std::set<std::string> finished_ids(Database& database, const std::string& account,
                                   const std::string& provider) {
  const Rows rows = database.run(
      "SELECT provider_id FROM emails WHERE account = $1 AND provider = $2 AND status NOT IN ('received',"
      " 'processing') UNION SELECT l.details->>'provider_id' FROM email_processing_logs l JOIN emails e"
      " ON e.id = l.email_id WHERE e.account = $1 AND l.step = 'duplicate' AND l.details->>'provider' = $2"
      " AND e.status NOT IN ('received', 'processing')",
      {account, provider});
  std::set<std::string> ids;
  for (int i = 0; i < rows.size(); ++i) ids.insert(rows.str(i, 0));
  return ids;
}

EmailOutcome ingest(Context& context, Database& database, Storage& storage, const EmailRules& rules,
                    const EmailSource& source, const Mail& mail, const FetchAttachment& fetch) {
  return Ingest(context, database, storage, rules, source, mail, fetch)();
}

void ingest_unreadable(Database& database, const EmailSource& source, const std::string& why) {
  database.run(
      "INSERT INTO emails (id, account, provider, provider_id, message_hash, status, error_message, task_id,"
      " processed_at) VALUES ($1, $2, $3, $4, $5, 'failed', $6, $7, now()) ON CONFLICT DO NOTHING",
      {uuid4(), source.account, source.provider, source.provider_id,
       sha256_hex(source.provider + ":" + source.provider_id), clean_text(why, 500), source.task_id});
}

}  // namespace celeriac
