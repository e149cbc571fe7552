// Rules of mail, the reading of MIME and of Gmail's JSON, and the shared quota.
#include "protocol/base64.hpp"
#include "tasks/email_processing/email_rules.hpp"
#include "tasks/email_processing/gmail_mailbox.hpp"
#include "tests/queues/redis_server.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

using namespace celeriac;
using namespace std::chrono_literals;

TEST_CASE("trusted senders") {
  const std::vector<std::string> patterns = {"a@one.example", "two.example", "*.three.example"};
  CHECK(is_trusted("A@One.example", patterns));
  CHECK_FALSE(is_trusted("b@one.example", patterns));
  CHECK(is_trusted("any@two.example", patterns));
  CHECK_FALSE(is_trusted("any@sub.two.example", patterns));
  CHECK(is_trusted("x@three.example", patterns));
  CHECK(is_trusted("x@deep.sub.three.example", patterns));
  CHECK_FALSE(is_trusted("x@notthree.example", patterns));
  CHECK_FALSE(is_trusted("three.example", patterns));
  CHECK_FALSE(is_trusted("", patterns));
}

TEST_CASE("what speaks against a mail, and against an attachment") {
  EmailRules rules;
  Mail mail;
  mail.from_address = "x@vendor.example";
  mail.subject = "Invoice \"17\" & <thanks>";
  CHECK(security_flags(mail, rules) == std::vector<std::string>{"untrusted_sender"});
  CHECK_FALSE(is_blocked(security_flags(mail, rules)));
  mail.text = "Please VERIFY YOUR ACCOUNT at http://a http://b http://c http://d http://e http://f";
  const auto flags = security_flags(mail, rules);
  CHECK(flags == std::vector<std::string>{"malicious_pattern", "excessive_urls", "untrusted_sender"});
  CHECK(is_blocked(flags));
  rules.trusted_senders = {"vendor.example"};
  CHECK_FALSE(is_blocked(security_flags(mail, rules)));

  MailAttachment attachment;
  attachment.filename = "invoice.pdf";
  CHECK(refusal_of(attachment, rules) == "empty");
  attachment.bytes = "MZ this is a program";
  attachment.size = attachment.bytes.size();
  CHECK(refusal_of(attachment, rules) == "unsupported_type");
  attachment.bytes = "%PDF-1.4";
  CHECK(refusal_of(attachment, rules).empty());
  attachment.size = rules.max_attachment_bytes + 1;
  CHECK(refusal_of(attachment, rules) == "too_large");
  attachment = {};
  attachment.bytes = "\x89PNG\r\n\x1a\n";
  attachment.size = 8;
  CHECK(refusal_of(attachment, rules).empty());
  attachment.is_inline = true;
  CHECK(refusal_of(attachment, rules) == "inline_image");
}

TEST_CASE("MIME: nesting, names, charsets, what is broken") {
  const auto mail = parse_mail(
      "From: =?utf-8?q?M=C3=BCller_GmbH?= <Billing@Vendor.example>\r\nTo: a@b.example, G: c@d.example;\r\n"
      "Subject: =?iso-8859-1?q?Rechnung_f=FCr_Sie?=\r\nMessage-ID: <1@vendor>\r\n"
      "Date: Fri, 01 Mar 2024 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/alternative; "
      "boundary=y\r\n\r\n"
      "--y\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdf"
      "e\r\n--y\r\n"
      "Content-Type: text/html\r\n\r\n<b>hi</b>\r\n--y--\r\n--x\r\n"
      "Content-Type: application/pdf; name=\"../../etc/r.pdf\"\r\nContent-Disposition: attachment\r\n"
      "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n--x--\r\n");
  REQUIRE(mail);
  CHECK(mail->from_address == "billing@vendor.example");
  CHECK(mail->from_name == "M\xc3\xbcller GmbH");
  CHECK(mail->subject == "Rechnung f\xc3\xbcr Sie");
  CHECK(mail->to == std::vector<std::string>{"a@b.example", "c@d.example"});
  CHECK(mail->message_id == "1@vendor");
  CHECK(mail->sent_at == 1709283600.0);
  CHECK(mail->text.find("Gr\xc3\xbc\xc3\x9f"
                        "e") == 0);
  REQUIRE(mail->attachments.size() == 1);
  CHECK(mail->attachments[0].part == "2");
  CHECK(mail->attachments[0].bytes == "%PDF-1.4");
  CHECK(vendor_of(*mail) == "M\xc3\xbcller GmbH");

  std::string deep;
  for (int i = 0; i < 3000; ++i)
    deep += "Content-Type: multipart/mixed; boundary=b" + std::to_string(i) + "\r\n\r\n--b" +
            std::to_string(i) + "\r\n";
  const auto nested = parse_mail(deep);
  CHECK((!nested || nested->attachments.empty()));
  MailLimits small;
  small.max_message = 10;
  CHECK_FALSE(parse_mail("From: somebody\r\n\r\n", small));
  const auto odd = parse_mail(std::string("\0\xff\xfe garbage", 11));
  CHECK((!odd || odd->attachments.size() <= 1));
}

TEST_CASE("a Gmail message and a push") {
  const Json message = *parse_json(R"({"id": "m1", "payload": {"mimeType": "multipart/mixed", "headers": [
      {"name": "From", "value": "V <v@x.example>"}, {"name": "Message-ID", "value": "<g@x>"},
      {"name": "Subject", "value": "Invoice"}], "parts": [
      {"partId": "0", "mimeType": "text/plain", "filename": "", "body": {"size": 2, "data": "aGk"}},
      {"partId": "1", "mimeType": "application/pdf", "filename": "r.pdf", "body": {"size": 8, "attachmentId": "A"}},
      {"partId": "2", "mimeType": "text/xml", "filename": "r.xml", "body": {"size": 3, "data": "PGEvPg"}}]}})");
  const auto mail = read_gmail_message(message);
  REQUIRE(mail);
  CHECK(mail->from_address == "v@x.example");
  CHECK(mail->message_id == "g@x");
  CHECK(mail->text == "hi");
  REQUIRE(mail->attachments.size() == 2);
  CHECK(mail->attachments[0].provider_id == "A");
  CHECK(mail->attachments[1].bytes == "<a/>");
  for (const char* broken :
       {"{}", R"({"payload": 1})", R"({"payload": {"parts": [1]}})",
        R"({"payload": {"headers": 7, "parts": [{"filename": "a", "body": {"data": "%%"}}]}})"})
    CHECK_MESSAGE(!read_gmail_message(*parse_json(broken)), broken);

  const auto push = [](const std::string& data) {
    const Json payload = {{"message", {{"data", base64_encode(data)}}}};
    return read_push(payload);
  };
  const auto good = push(R"({"emailAddress": "AP@x.example", "historyId": 123})");
  REQUIRE(good);
  CHECK(good->address == "ap@x.example");
  CHECK(good->history_id == "123");
  CHECK_FALSE(push("no json"));
  CHECK_FALSE(push(R"({"emailAddress": "a@b", "historyId": "1; DROP"})"));
  CHECK_FALSE(read_push(Json::array()));
  CHECK_FALSE(read_push(*parse_json(R"({"message": {"data": 7}})")));
}

TEST_CASE("the quota is one for all workers") {
  celeriac::testing::RedisServer redis;
  QuotaLimits limits;
  limits.units_per_second = 100;
  limits.units_per_day = 1000;
  limits.connections = 2;
  std::atomic<int> taken{0};
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::thread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      QuotaLedger ledger(redis.url(), limits);
      for (int i = 0; i < 30; ++i)
        if (!ledger.take("u", 5)) ++taken;
    });
  }
  for (auto& worker : workers) worker.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  CHECK(taken >= 20);
  CHECK(taken * 5 <= 100 + 100 * seconds + 5);

  QuotaLedger ledger(redis.url(), limits);
  CHECK(ledger.take("other", 100) == std::nullopt);  // each user for itself
  const auto wait = ledger.take("other", 50);
  REQUIRE(wait);
  CHECK(*wait > 0ms);
  CHECK(*wait <= 500ms);
  ledger.pause("third", 5s);
  CHECK(*ledger.take("third", 1) > 4s);
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  redis.run({"SET", "celeriac:email:day:" + std::to_string(today.time_since_epoch().count()), "999"});
  CHECK_THROWS_AS(ledger.take("fourth", 5), EmailError);

  CHECK(ledger.connect("u", "a"));
  CHECK(ledger.connect("u", "b"));
  CHECK_FALSE(ledger.connect("u", "c"));
  CHECK(ledger.connect("u", "a"));
  ledger.disconnect("u", "a");
  CHECK(ledger.connect("u", "c"));
  CHECK(ledger.recall("x") == std::nullopt);
  ledger.remember("x", "value", 60s);
  CHECK(ledger.recall("x") == "value");

  redis.kill();
  CHECK_THROWS_AS(ledger.take("u", 1), EmailError);
  redis.start();
  CHECK(ledger.take("u", 1) == std::nullopt);
  CHECK_THROWS_AS(QuotaLedger("postgresql://x"), EmailError);
}
