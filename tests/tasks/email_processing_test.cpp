// Mailboxes worked on as a worker does: a real Dovecot, and a server in Gmail's form with its errors, rate
// limits and tokens that end. Whatever happens in between, the same rows come out.
#include "protocol/base64.hpp"
#include "tasks/email_processing/tasks.hpp"
#include "tests/queues/redis_server.hpp"
#include "tests/tasks/dovecot_server.hpp"
#include "tests/tasks/process_fixture.hpp"
#include "tests/tasks/scripted_server.hpp"
#include "worker/run_task.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <thread>

using namespace celeriac;
using namespace std::chrono_literals;
using celeriac::testing::DovecotServer;
using celeriac::testing::InvoiceStage;
using celeriac::testing::Received;
using celeriac::testing::RedisServer;
using celeriac::testing::ScriptedServer;
using Connection = ScriptedServer::Connection;

namespace {

struct Part {
  std::string filename, type, bytes, disposition = "attachment";
};

std::string message(const std::string& id, const std::string& from, const std::string& subject,
                    const std::vector<Part>& parts, const std::string& text = "See attached.") {
  std::string out =
      "From: " + from + "\r\nTo: ap@us.example\r\nSubject: " + subject + "\r\nMessage-ID: <" + id +
      ">\r\nDate: Fri, 01 Mar 2024 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/mixed; boundary=edge\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\n" +
      text + "\r\n";
  for (const Part& part : parts)
    out += "--edge\r\nContent-Type: " + part.type + "; name=\"" + part.filename +
           "\"\r\nContent-Disposition: " + part.disposition + "; filename=\"" + part.filename +
           "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64_encode(part.bytes) + "\r\n";
  return out + "--edge--\r\n";
}

Part pdf(const std::string& name, const std::string& content) {
  return {name, "application/pdf", "%PDF-1.4\n" + content};
}

void deliver_all(DovecotServer& server) {
  server.deliver(message("1@v", "Vendor One <billing@one.example>", "Invoice 1", {pdf("one.pdf", "one")}));
  server.deliver(message("2@v", "billing@two.example", "Two at once",
                         {pdf("two.pdf", "two"),
                          {"three.xml", "text/xml", "<?xml version=\"1.0\"?><Invoice/>"},
                          {"logo.png", "image/png", "\x89PNG\r\n\x1a\nlogo", "inline"}}));
  server.deliver(message("1@v", "Vendor One <billing@one.example>", "Invoice 1", {pdf("one.pdf", "one")}));
  server.deliver(message("4@v", "other@one.example", "Again the same document", {pdf("copy.pdf", "one")}));
  server.deliver(message("5@v", "thief@bad.example", "Urgent", {pdf("trap.pdf", "trap")},
                         "Please verify your account and confirm your password."));
  server.deliver(
      message("6@v", "x@six.example", "A program", {{"invoice.pdf", "application/pdf", "MZ\x90program"}}));
  server.deliver(message("7@v", "news@seven.example", "Newsletter", {}));
  std::string deep;
  for (int i = 0; i < 60; ++i)
    deep += "Content-Type: multipart/mixed; boundary=b" + std::to_string(i) + "\r\n\r\n--b" +
            std::to_string(i) + "\r\n";
  server.deliver("From: hostile@x.example\r\nSubject: deep\r\nMessage-ID: <8@v>\r\nMIME-Version: 1.0\r\n" +
                 deep);
  server.deliver(message("9@v", "a@nine.example", "Empty", {{"empty.pdf", "application/pdf", ""}}));
}

// A poll as a slot runs it.
struct MailStage {
  explicit MailStage(std::map<std::string, std::string> accounts, std::string quota = "") {
    config.database_url = stage.config.database_url;
    config.storage_root = stage.config.storage_root;
    config.accounts = std::move(accounts);
    config.quota_url = std::move(quota);
  }

  Outcome run(const std::string& task, const Json& args, int retries = 0, const std::string& id = "poll",
              const std::string& root = "poll") {
    static const std::vector<std::string> accept = {"application/json"};
    App app;
    register_email_processing(app, config);
    auto read = std::make_shared<Message>();
    const Json headers = {{"task", task}, {"id", id}, {"root_id", root}, {"retries", retries}};
    read->headers = dump_json(headers);
    read->body = "[" + dump_json(args) + ", {}, {}]";
    Job job;
    job.id = 1;
    job.queue = "email_processing";
    job.headers = std::make_shared<TaskHeaders>(*read_task(*read, accept));
    job.message = read;
    return run_task({app, accept, stage.port}, job, stage.soft_limit, [] {}).outcome;
  }

  Json poll(const std::string& account = "ap") {
    const Json options = {{"days_back", 365}};
    const Outcome outcome = run("email_processing.poll_mailbox", Json::array({account, options}));
    if (const auto* threw = std::get_if<Threw>(&outcome)) FAIL(threw->exception.repr());
    return *parse_json(std::get<Returned>(outcome).result);
  }

  // What must be the same however often and however broken it was run.
  std::string rows() {
    return stage.sql(
               "SELECT string_agg(coalesce(message_id, '-') || ' ' || status, ', ' ORDER BY message_id, "
               "status)"
               " FROM emails") +
           " | " +
           stage.sql(
               "SELECT string_agg(filename || ' ' || a.status || coalesce(' ' || refusal, ''), ', ' ORDER BY"
               " filename) FROM email_attachments a");
  }

  InvoiceStage stage;
  EmailConfig config;
};

std::string type_of(const Outcome& outcome) {
  if (const auto* threw = std::get_if<Threw>(&outcome)) return threw->exception.type;
  if (const auto* retry = std::get_if<AskedRetry>(&outcome)) return "retry " + retry->exception.type;
  return "returned";
}

const std::string expected_rows =
    "1@v processed, 2@v processed, 4@v processed, 5@v blocked, 6@v ignored, 7@v ignored, 9@v ignored, - "
    "failed | "
    "copy.pdf duplicate, empty.pdf refused empty, invoice.pdf refused unsupported_type, logo.png refused "
    "inline_image, one.pdf queued, three.xml queued, two.pdf queued";

}  // namespace

TEST_CASE("mails in Dovecot become the right rows; twice changes nothing; killed anywhere ends the same") {
  REQUIRE(DovecotServer::available());  // dovecot-imapd
  DovecotServer dovecot;
  deliver_all(dovecot);
  MailStage clean({{"ap", dovecot.url()}}), killed({{"ap", dovecot.url()}});

  // First those that die, each in a process of its own: after the rows of a mail, and with each follow-up.
  for (int die_at = 1; die_at <= 3; ++die_at) {
    const pid_t slot = ::fork();
    if (slot == 0) {
      std::thread([&] {
        int sends = 0;
        killed.stage.port.on_send = [&](const SendRequest&) -> std::string {
          if (++sends == die_at) ::kill(::getpid(), SIGKILL);
          return "";
        };
        killed.poll();
      }).join();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(slot, &status, 0);
  }
  const Json mended = killed.poll();
  CHECK(killed.rows() == expected_rows);
  CHECK(mended.at("status") == "success");

  const Json first = clean.poll();
  CHECK(clean.rows() == expected_rows);
  CHECK(first.at("documents_queued") == 3);
  CHECK(first.at("blocked") == 1);
  CHECK(first.at("failed") == 1);
  CHECK(first.at("duplicates") == 1);
  const Json second = clean.poll();
  CHECK(second.at("emails_processed") == 0);
  CHECK(clean.rows() == expected_rows);

  const auto sent = clean.stage.port.sent();
  REQUIRE(sent.size() == 3);
  for (const SendRequest& one : sent) {
    CHECK(one.outgoing.queue == "invoice_processing");
    CHECK(clean.stage.sql("SELECT count(*) FROM email_attachments WHERE process_task_id::text = '" +
                          one.task_id + "'") == "1");
  }
  // The documents are where the follow-ups say.
  const std::string uri =
      clean.stage.sql("SELECT storage_uri FROM email_attachments WHERE filename = 'two.pdf'");
  const Json options = {{"file_name", "two.pdf"}, {"upload_source", "email"}};
  CHECK(clean.stage.process(uri, "d", options).at("status") == "completed");
  CHECK(clean.stage.sql("SELECT upload_source FROM file_storage") == "email");

  dovecot.deliver(message("10@v", "ten@ten.example", "New", {pdf("ten.pdf", "ten")}));
  CHECK(clean.poll().at("documents_queued") == 1);
}

TEST_CASE("a mailbox that cannot be opened") {
  REQUIRE(DovecotServer::available());  // dovecot-imapd
  DovecotServer dovecot;
  std::string folder = dovecot.url();
  folder.replace(folder.rfind("INBOX"), 5, "Nowhere");
  MailStage s({{"wrong", dovecot.url("wr0ng-pass")},
               {"folder", folder},
               {"away", "imap://ap:secret@127.0.0.1:1/INBOX"},
               {"odd", "ftp://x"}});
  const auto poll = [&](const std::string& account) {
    return s.run("email_processing.poll_mailbox", Json::array({account}));
  };
  const Outcome wrong = poll("wrong");
  CHECK(type_of(wrong) == "EmailLoginRefused");
  CHECK(std::get<Threw>(wrong).exception.repr().find("wr0ng-pass") == std::string::npos);
  CHECK(type_of(poll("folder")) == "EmailFolderNotFound");
  CHECK(type_of(poll("away")) == "retry EmailUnavailable");
  CHECK(type_of(s.run("email_processing.poll_mailbox", Json::array({"away"}), 3)) == "EmailUnavailable");
  CHECK(type_of(poll("odd")) == "EmailNotConfigured");
  CHECK(type_of(poll("unknown")) == "EmailNotConfigured");
  CHECK(type_of(s.run("email_processing.poll_mailbox", Json::array({"wrong", 7}))) == "TypeError");
}

namespace {

// Gmail's REST interface with `mails` messages of one PDF each; tokens are good for three calls.
struct GmailStub {
  std::atomic<int> refreshes{0}, good_for{0}, limited{2}, broken{1}, attachments{0};
  std::atomic<bool> forgotten{false};
  int mails = 3;

  static std::string url_safe(const std::string& bytes) {
    std::string text = base64_encode(bytes);
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    std::erase(text, '=');
    return text;
  }

  void operator()(const Received& got, Connection& to) {
    const auto has = [&](const char* word) { return got.target.find(word) != std::string::npos; };
    if (got.target == "/token") {
      if (got.body.find("refresh_token=r%2F1") == std::string::npos)
        return to.reply(400, R"({"error": "invalid_grant"})");
      good_for = 3;
      return to.reply(200,
                      R"({"access_token": "t)" + std::to_string(++refreshes) + R"(", "expires_in": 3600})");
    }
    if (got.headers.at("authorization") != "Bearer t" + std::to_string(refreshes) || good_for-- <= 0)
      return to.reply(401, R"({"error": {"code": 401, "status": "UNAUTHENTICATED"}})");
    if (limited-- > 0)
      return to.reply(429, R"({"error": {"errors": [{"reason": "rateLimitExceeded"}]}})",
                      "Retry-After: 1\r\n");
    if (broken-- > 0) return to.reply(503, "");
    if (has("/attachments/")) {
      ++attachments;
      const Json body = {{"data", url_safe("%PDF-1.4 " + got.target)}};
      return to.reply(200, dump_json(body));
    }
    if (has("/history"))
      return forgotten ? to.reply(404, "{}")
                       : to.reply(200, R"({"history": [{"messagesAdded": [{"message": {"id": "m3"}}]}]})");
    if (has("/watch")) return to.reply(200, R"({"historyId": "7", "expiration": "1999"})");
    if (has("/messages?")) {
      const bool second = has("pageToken=next");
      Json list = {{"messages", Json::array()}};
      for (int i = second ? 2 : 1; i <= (second ? mails : 1); ++i)
        list["messages"].push_back({{"id", "m" + std::to_string(i)}});
      if (!second) list["nextPageToken"] = "next";
      return to.reply(200, dump_json(list));
    }
    const std::string id = got.target.substr(got.target.rfind('/') + 1, 2);
    to.reply(
        200,
        R"({"id": ")" + id + R"(", "payload": {"headers": [{"name": "From", "value": "v@x.example"},
        {"name": "Message-ID", "value": "<)" +
            id + R"(@x>"}], "parts": [{"partId": "1", "mimeType":
        "application/pdf", "filename": ")" +
            id + R"(.pdf", "body": {"size": 20, "attachmentId": "a)" + id +
            R"("}}, {"partId": "2", "mimeType": "application/zip", "filename": "x.zip", "body": {"size": 9,
        "attachmentId": "zip"}}]}})");
  }
};

}  // namespace

TEST_CASE("Gmail, with rate limits, failures and tokens that end") {
  RedisServer redis;
  GmailStub gmail;
  ScriptedServer server([&](const Received& got, Connection& to) { gmail(got, to); });
  const std::string account =
      "gmail://ap@us.example?client_id=c&client_secret=s3cret&refresh_token=r%2F1&api=" + server.url() +
      "/gmail/v1&token_uri=" + server.url() + "/token";
  MailStage s({{"g", account}}, redis.url());
  const Json first = s.poll("g");
  CHECK(first.at("documents_queued") == 3);
  CHECK(gmail.refreshes > 1);
  CHECK(gmail.attachments == 3);  // the archives were not even fetched
  CHECK(s.rows() ==
        "m1@x processed, m2@x processed, m3@x processed | m1.pdf queued, m2.pdf queued, m3.pdf queued, x.zip "
        "refused "
        "unsupported_type, x.zip refused unsupported_type, x.zip refused unsupported_type");
  CHECK(s.poll("g").at("emails_processed") == 0);
  CHECK(redis.number({"ZCARD", "celeriac:email:connections:ap@us.example"}) == 0);
  CHECK(redis.number({"EXISTS", "celeriac:email:kept:ap@us.example:m1"}) == 1);

  // A push: from where the last one ended, or from the list when Gmail has forgotten that.
  const Outcome watching = s.run("email_processing.watch_mailbox", Json::array({"g", "projects/p/topics/t"}));
  CHECK(parse_json(std::get<Returned>(watching).result)->at("history_id") == "7");
  s.stage.sql("DELETE FROM emails WHERE provider_id = 'm3'");
  const Json note = {{"emailAddress", "ap@us.example"}, {"historyId", 9}};
  const Json payload = {{"message", {{"data", base64_encode(dump_json(note))}}}};
  const Outcome push = s.run("email_processing.gmail_push", Json::array({payload}));
  CHECK(parse_json(std::get<Returned>(push).result)->at("emails_processed") == 1);
  CHECK(redis.one({"GET", "celeriac:email:kept:history:ap@us.example"}) == "9");
  gmail.forgotten = true;
  gmail.mails = 4;
  const Outcome late = s.run("email_processing.gmail_push", Json::array({payload}));
  CHECK(parse_json(std::get<Returned>(late).result)->at("emails_processed") == 1);
  CHECK(type_of(s.run("email_processing.gmail_push", Json::array({"nonsense"}))) == "TypeError");

  // As AP's Python code asks for it.
  s.config.gmail_api = server.url() + "/gmail/v1";
  const Json credentials = {
      {"token", nullptr}, {"refresh_token", "r/1"},    {"token_uri", server.url() + "/token"},
      {"client_id", "c"}, {"client_secret", "s3cret"}, {"scopes", Json::array()}};
  const Outcome python =
      s.run("app.workers.email_tasks.monitor_gmail_inbox", Json::array({"u1", credentials}));
  CHECK(parse_json(std::get<Returned>(python).result)->at("user_id") == "u1");

  // The mails of some ids: one that is not known yet, and one that is.
  const Outcome batch = s.run("app.workers.email_tasks.batch_process_emails",
                              Json::array({Json::array({"m5", "m1"}), "u1", credentials}));
  const Json told = *parse_json(std::get<Returned>(batch).result);
  CHECK(told.at("total_emails") == 2);
  CHECK(told.at("successful") == 2);
  CHECK(told.at("failed") == 0);
}

TEST_CASE("a schedule goes on by itself, once for each message, and gives way to a later one") {
  RedisServer redis;
  MailStage s({}, redis.url());
  const Json credentials = {{"token", "t"}};
  const auto run = [&](const std::string& id, const std::string& root) {
    return parse_json(std::get<Returned>(s.run("app.workers.email_tasks.schedule_email_monitoring",
                                               Json::array({"u", credentials, 30}), 0, id, root))
                          .result)
        ->at("status");
  };
  const auto sent = [&] { return s.stage.port.sent(); };
  const std::string first = "00000000-0000-4000-8000-000000000001",
                    second = "00000000-0000-4000-8000-000000000002";
  CHECK(run(first, first) == "scheduled");
  REQUIRE(sent().size() == 2);
  const auto sent_as = [&](std::size_t i, const char* name) {
    return sent()[i].outgoing.message.headers.find(std::string("\"app.workers.email_tasks.") + name + '"') !=
           std::string::npos;
  };
  CHECK(sent_as(0, "monitor_gmail_inbox"));
  CHECK(sent_as(1, "schedule_email_monitoring"));
  const std::string next = sent()[1].task_id;
  CHECK(run(first, first) == "scheduled");  // the message twice
  CHECK(sent().size() == 2);
  CHECK(run(next, first) == "scheduled");
  CHECK(sent().size() == 4);
  CHECK(run(second, second) == "scheduled");
  CHECK(sent().size() == 6);
  CHECK(run(sent()[3].task_id, first) == "replaced");
  CHECK(sent().size() == 6);
  CHECK(type_of(s.run("app.workers.email_tasks.schedule_email_monitoring",
                      Json::array({"u", credentials, 0}))) == "TypeError");
}

TEST_CASE("what ends a Gmail poll") {
  RedisServer redis;
  std::atomic<int> status{403};
  ScriptedServer server([&](const Received& got, Connection& to) {
    if (got.target == "/token") return to.reply(400, R"({"error": "invalid_grant"})");
    to.reply(status, "{}", status == 429 ? "Retry-After: 600\r\n" : "");
  });
  const auto account = [&](const std::string& token) {
    return "gmail://ap@us.example?" + token + "&api=" + server.url() + "&token_uri=" + server.url() +
           "/token";
  };
  MailStage s({{"revoked", account("refresh_token=s3cret")},
               {"fixed", account("token=t0ken")},
               {"none", account("x=y")}},
              redis.url());
  const auto poll = [&](const std::string& name) {
    return s.run("email_processing.poll_mailbox", Json::array({name}));
  };
  const Outcome revoked = poll("revoked");
  CHECK(type_of(revoked) == "EmailLoginRefused");
  CHECK(std::get<Threw>(revoked).exception.repr().find("s3cret") == std::string::npos);
  CHECK(type_of(poll("fixed")) == "EmailLoginRefused");
  CHECK(type_of(poll("none")) == "EmailNotConfigured");
  status = 401;
  CHECK(type_of(poll("fixed")) == "EmailLoginRefused");  // nothing to refresh it with
  status = 429;
  const Outcome limited = poll("fixed");
  CHECK(type_of(limited) == "retry EmailRateLimited");
  const int before = server.requests();
  CHECK(type_of(poll("fixed")) == "retry EmailRateLimited");  // no worker asks meanwhile
  CHECK(server.requests() == before);
  redis.kill();
  CHECK(type_of(poll("fixed")) == "retry EmailUnavailable");
  s.config.quota_url.clear();
  CHECK(type_of(poll("fixed")) == "EmailNotConfigured");
}
