#include "config/url.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

TEST_CASE("URLs of every kind are taken apart") {
  struct Case {
    const char *text, *scheme, *user, *password, *host;
    int port;
    const char* path;
  };
  for (const Case& c : {
           Case{"redis://localhost:6379/0", "redis", "", "", "localhost", 6379, "/0"},
           Case{"redis://localhost", "redis", "", "", "localhost", 0, ""},
           Case{"REDISS://u:p%40ss%2F@redis.example:7000/3?ssl_cert_reqs=none", "rediss", "u", "p@ss/",
                "redis.example", 7000, "/3"},
           Case{"redis://:secret@10.0.0.1/0", "redis", "", "secret", "10.0.0.1", 0, "/0"},
           Case{"redis://redis_server:6379/0", "redis", "", "", "redis_server", 6379, "/0"},
           Case{"redis://[::1]:6380/0", "redis", "", "", "::1", 6380, "/0"},
           Case{"redis+socket:///run/redis.sock?virtual_host=2", "redis+socket", "", "", "", 0,
                "/run/redis.sock"},
           Case{"redis+unix:///run/my%20redis.sock", "redis+unix", "", "", "", 0, "/run/my redis.sock"},
           Case{"amqp://guest:guest@localhost:5672//", "amqp", "guest", "guest", "localhost", 5672, "//"},
           Case{"amqps://a:b@mq/vhost", "amqps", "a", "b", "mq", 0, "/vhost"},
           Case{"db+postgresql+psycopg2://u:p@pg:5433/app", "db+postgresql+psycopg2", "u", "p", "pg", 5433,
                "/app"},
           Case{"postgresql:///app?host=/run/postgresql", "postgresql", "", "", "", 0, "/app"},
           Case{"sentinel://h:26379/0", "sentinel", "", "", "h", 26379, "/0"},
           Case{"rpc://", "rpc", "", "", "", 0, ""},
           Case{"disabled://", "disabled", "", "", "", 0, ""},
       }) {
    CAPTURE(std::string(c.text));
    auto url = parse_url(c.text);
    REQUIRE(url);
    CHECK(url->scheme == c.scheme);
    CHECK(url->user == c.user);
    CHECK(url->password == c.password);
    CHECK(url->host == c.host);
    CHECK(url->port == c.port);
    CHECK(url->path == c.path);
    CHECK(url->text == c.text);
  }
}

TEST_CASE("query keys are decoded") {
  auto url = parse_url("rediss://h/0?ssl_cert_reqs=required&ssl_ca_certs=%2Fetc%2Fca.pem");
  REQUIRE(url);
  CHECK(url->query.at("ssl_cert_reqs") == "required");
  CHECK(url->query.at("ssl_ca_certs") == "/etc/ca.pem");
}

TEST_CASE("bad URLs say what is wrong and never show the password") {
  struct Case {
    const char *text, *part;
  };
  for (const Case& c : {
           Case{"", "no scheme"},
           Case{"localhost:6379", "no scheme"},
           Case{"/run/redis.sock", "no scheme"},
           Case{"redis://h:99999/0", "between 1 and 65535"},
           Case{"redis://h:0/0", "between 1 and 65535"},
           Case{"redis://u:se^cret@h/0", "percent-encoded"},
           Case{"redis://u:se/cret@h/0", "percent-encoded"},
           Case{"redis://:se#cret@h/0", "%23"},
           Case{"redis://u:se%zzcret@h/0", "percent-encoded"},
           Case{"redis://h:abc/0", "well-formed"},
       }) {
    CAPTURE(std::string(c.text));
    auto url = parse_url(c.text);
    REQUIRE_FALSE(url);
    CAPTURE(url.error().what);
    CHECK(url.error().what.find(c.part) != std::string::npos);
    CHECK(url.error().what.find("cret@") == std::string::npos);
  }
  CHECK_FALSE(parse_url("redis://h/" + std::string(9000, 'a')));
}

TEST_CASE("display hides the password and nothing else") {
  CHECK(parse_url("redis://u:p%40ss@h:1/0?a=b")->display() == "redis://u:**@h:1/0?a=b");
  CHECK(parse_url("redis://:secret@h/0")->display() == "redis://:**@h/0");
  CHECK(parse_url("redis://u@h/0")->display() == "redis://u@h/0");
  CHECK(parse_url("redis://h:6379/0")->display() == "redis://h:6379/0");
  CHECK(parse_url("postgresql:///app?user=u&password=secret&x=1")->display() ==
        "postgresql:///app?user=u&password=**&x=1");
}
