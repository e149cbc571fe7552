#include "protocol/pickle.hpp"

#include "protocol/tagged.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

using namespace celeriac;
using namespace celeriac::test;

namespace {

std::string loaded(const std::string& bytes) {
  const auto value = pickle_load(bytes);
  return value ? dump_json(*value) : "error: " + value.error().what;
}

std::string again(const char* json) { return loaded(pickle_dump(parse_json(json).value())); }

}  // namespace

TEST_CASE("rows that Celery pickled are read") {
  for (const auto& line : sample_lines("pickles.tsv")) {
    const auto tab = line.find('\t'), second = line.find('\t', tab + 1);
    CAPTURE(line.substr(0, tab));
    CHECK(loaded(from_hex(line.substr(tab + 1, second - tab - 1))) == line.substr(second + 1));
  }
}

TEST_CASE("what is dumped is loaded") {
  for (const auto* json :
       {"null",
        "true",
        "0",
        "255",
        "256",
        "65536",
        "2147483647",
        "2147483648",
        "-1",
        "-2147483648",
        "-2147483649",
        "9223372036854775807",
        "18446744073709551615",
        "1180591620717411303424",
        "-1180591620717411303424",
        "1.5",
        "-0.0",
        "Infinity",
        "\"\"",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "[]",
        "{}",
        "[[], {}, [1, [2]]]",
        "{\"a\": {\"b\": [null]}}",
        R"({"__type__": "base64", "__value__": "/wA="})",
        R"({"__type__": "bytes", "__value__": "abc"})",
        R"({"__type__": "decimal", "__value__": "1.10"})",
        R"({"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000001"}})",
        R"({"__type__": "datetime", "__value__": "2026-01-02T03:04:05"})",
        R"({"exc_type": "ValueError", "exc_message": ["boom", 7], "exc_module": "builtins"})"}) {
    CAPTURE(json);
    CHECK(again(json) == json);
  }
}

TEST_CASE("an exception's message is a tuple") {
  const auto bytes =
      pickle_dump(parse_json(R"({"exc_type": "E", "exc_message": ["x"], "exc_module": "m"})").value());
  CHECK(to_hex(bytes).find(to_hex(std::string("exc_message(X\1\0\0\0xt", 19))) != std::string::npos);
}

TEST_CASE("nothing is built: classes become markers") {
  CHECK(loaded("cos\nsystem\n(S'echo'\ntR.") == R"({"__type__": "python", "__value__": "os.system"})");
  CHECK(loaded("c__builtin__\nobject\n.") == R"({"__type__": "python", "__value__": "__builtin__.object"})");
  CHECK(loaded("(iposix\nsystem\n.") == R"({"__type__": "python", "__value__": "posix.system"})");
  CHECK(loaded("cbuiltins\nset\n](K\1K\2e\x85R.") == "[1, 2]");
  CHECK(is_pickle_opaque(pickle_opaque("a.B")));
}

TEST_CASE("shared and circular references") {
  CHECK(loaded(std::string("]q\0(]q\1h\1h\1K\5e.", 15)) == "[[], [], [], 5]");
  CHECK(loaded("(lp0\n(lp1\nI5\naag1\na.") == "[[5], [5]]");
  CHECK(loaded("(lp0\ng0\na.").find("cycle") != std::string::npos);
  // Each list holds the one before twice: 2^40 values if it were written out.
  std::string bomb = "(lp0\n";
  for (int i = 1; i < 40; ++i) {
    const auto below = std::to_string(i - 1);
    bomb += "0(lp" + std::to_string(i) + "\ng" + below + "\nag" + below + "\na";
  }
  CHECK(loaded(bomb + ".").find("expands") != std::string::npos);
}

TEST_CASE("broken pickles are errors") {
  for (const std::string& bytes : {std::string(),
                                   std::string("."),
                                   std::string("\x80\x07N."),
                                   std::string("K"),
                                   std::string("N"),
                                   std::string("NN."),
                                   std::string("(."),
                                   std::string("a."),
                                   std::string("]a."),
                                   std::string("}Ns."),
                                   std::string("h\1."),
                                   std::string("X\xFF\xFF\xFF\xFF"
                                               "a."),
                                   std::string("\x8d\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFx."),
                                   std::string("q\1."),
                                   std::string("t."),
                                   std::string("\x8b\xFF\xFF\xFF\x7F."),
                                   std::string("Ixyz\n."),
                                   std::string("Fxyz\n."),
                                   std::string("\x93."),
                                   std::string("R."),
                                   std::string("\xFF."),
                                   std::string("0."),
                                   std::string("X\1\0\0\0\xFF.", 7)}) {
    CAPTURE(to_hex(bytes));
    CHECK(!pickle_load(bytes));
  }
  CHECK(!pickle_load(std::string(100000, ']')));
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "](";
  CHECK(!pickle_load(deep + "N" + std::string(2000, 'e') + "."));
}
