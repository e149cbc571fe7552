// Python itself as the judge: what its json writes comes back unchanged, its repr is ours, its
// pickles are read, and ours are read by it. Skipped where there is no python3.
#include "protocol/json.hpp"
#include "protocol/pickle.hpp"
#include "protocol/repr.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>
#include <cstdio>
#include <cstdlib>
#include <memory>

using namespace celeriac;
using namespace celeriac::test;

namespace {

struct Close {
  void operator()(std::FILE* file) const noexcept { pclose(file); }
};

constexpr const char* generate = R"py(
import json, pickle, random, struct
r = random.Random(20261120)
def text():
    pools = ["abc xyz", "'\"\\\n\t\r\x00\x1f\x7f", "\u00e9\u00a0\u20ac\u0416\u4e2d", "\U0001f600\U0010fffd", "\ud800\udc00"]
    return "".join(r.choice(r.choice(pools)) for _ in range(r.randrange(12)))
def number():
    kind = r.randrange(6)
    if kind == 0: return r.randrange(-300, 300)
    if kind == 1: return r.choice([1, -1]) * (2 ** r.randrange(200) + r.randrange(-1, 2))
    if kind == 2: return struct.unpack("d", struct.pack("Q", r.getrandbits(64)))[0]
    if kind == 3: return r.uniform(-1e6, 1e6)
    if kind == 4: return float(10 ** r.randrange(25))
    return r.choice([0.0, -0.0, float("nan"), float("inf"), -float("inf"), 5e-324, 1e-5, 0.0001, 1e16, 2**63, 2**64, -2**63])
def value(depth=0):
    kind = r.randrange(8 if depth < 4 else 5)
    if kind == 0: return r.choice([None, True, False])
    if kind < 3: return number()
    if kind < 5: return text()
    if kind < 6: return [value(depth + 1) for _ in range(r.randrange(5))]
    return {text(): value(depth + 1) for _ in range(r.randrange(5))}
for i in range(4000):
    v = json.loads(json.dumps(value()))
    print(json.dumps(v))
    print(json.dumps(repr(v)))
    print(pickle.dumps(v, protocol=i % 6).hex())
)py";

constexpr const char* verify = R"py(
import json, pickle, sys
for line in open(sys.argv[1]):
    data, text = line.rstrip("\n").split("\t")
    got = json.dumps(pickle.loads(bytes.fromhex(data)))
    if got != text:
        print("got", got, "expected", text)
)py";

bool have_python() { return std::system("python3 -c '' >/dev/null 2>&1") == 0; }

std::string write_file(const char* name, const std::string& text) {
  const std::string path = std::string("protocol_test_") + name;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "w"), std::fclose);
  REQUIRE(file);
  REQUIRE(std::fwrite(text.data(), 1, text.size(), file.get()) == text.size());
  return path;
}

std::vector<std::string> run(const std::string& command) {
  const std::unique_ptr<std::FILE, Close> pipe(popen(command.c_str(), "r"));
  REQUIRE(pipe);
  std::vector<std::string> lines(1);
  for (int c; (c = std::fgetc(pipe.get())) != EOF;) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back().push_back(static_cast<char>(c));
    }
  }
  lines.pop_back();
  return lines;
}

}  // namespace

TEST_CASE("four thousand random values agree with Python" * doctest::skip(!have_python())) {
  const std::string script = write_file("generate.py", generate);
  const auto lines = run("python3 " + script);
  REQUIRE(lines.size() == 12000);
  std::string ours;
  for (std::size_t i = 0; i < lines.size(); i += 3) {
    CAPTURE(lines[i]);
    const auto value = parse_json(lines[i]);
    REQUIRE(value);
    CHECK(dump_json(*value) == lines[i]);
    const auto repr = parse_json(lines[i + 1]);
    REQUIRE(repr);
    // Lone surrogates are escaped by repr, so that the text is plain UTF-8.
    CHECK(python_repr(*value, 0) == repr->get<std::string>());
    // Protocol 0 has strings of its own, which no result store writes.
    if (i / 3 % 6 != 0) {
      const auto loaded = pickle_load(from_hex(lines[i + 2]));
      REQUIRE(loaded);
      CHECK(dump_json(*loaded) == lines[i]);
    }
    ours += to_hex(pickle_dump(*value)) + "\t" + lines[i] + "\n";
  }
  const std::string data = write_file("pickles.tsv", ours);
  const std::string judge = write_file("verify.py", verify);
  const auto complaints = run("python3 " + judge + " " + data);
  CHECK(complaints.size() == 0);
  if (!complaints.empty()) MESSAGE(complaints[0]);
  for (const auto& path : {script, data, judge}) std::remove(path.c_str());
}
