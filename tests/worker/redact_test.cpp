#include "worker/logging.hpp"

#include <doctest/doctest.h>

using celeriac::redact;

TEST_CASE("secrets do not reach the log") {
  const std::pair<const char*, const char*> rows[] = {
      {"to redis://user:pw@host:1/0.", "to redis://user:**@host:1/0."},
      {"to redis://:p%40w@host:1/0 and db+postgresql://a:b@c/d",
       "to redis://:**@host:1/0 and db+postgresql://a:**@c/d"},
      {"{'password': 'x\\'y', 'n': 1}", "{'password': '********', 'n': 1}"},
      {"{\"api_key\": \"abc\"}", "{\"api_key\": \"********\"}"},
      {"GET /?token=abc&x=1", "GET /?token=********&x=1"},
      {"Password=hunter2", "Password=********"},
      {"{'access_token': 17}", "{'access_token': ********}"},
  };
  for (const auto& [given, wanted] : rows) {
    std::string text = given;
    CHECK(redact(text));
    CHECK(text == wanted);
  }
}

TEST_CASE("other text stays") {
  for (const char* given : {"Task t.add[1] received", "redis://host:6379/0", "unexpected token",
                            "{'token': None}", "http://x/?a@b:c", "token", "password: "}) {
    std::string text = given;
    CHECK_FALSE(redact(text));
    CHECK(text == given);
  }
}
