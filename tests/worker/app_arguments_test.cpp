// Binding of args and kwargs to C++ parameters: Python's rules, Python's words.
#include "protocol/tagged.hpp"
#include "worker/app.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace celeriac;

namespace shop {

struct Item {
  std::string name;
  int count = 0;
};
void to_json(Json& json, const Item& item) { json = {{"name", item.name}, {"count", item.count}}; }
void from_json(const Json& json, Item& item) {
  json.at("name").get_to(item.name);
  json.at("count").get_to(item.count);
}

struct Point {
  int x, y;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Point, x, y)

}  // namespace shop

namespace {

class NoPort : public TaskPort {
 public:
  std::string request(TaskRequest) override { return {}; }
};

struct Caller {
  App app;
  NoPort port;
  std::atomic<bool> soft{false};

  Json call(const std::string& task, const char* args, const char* kwargs = "{}") {
    const App::Task* found = app.find(task);
    REQUIRE(found);
    auto headers = std::make_shared<TaskHeaders>();
    headers->id = "id-1";
    headers->task = task;
    Job job;
    job.headers = headers;
    job.message = std::make_shared<Message>();
    Context context(job, found->options, port, soft);
    return found->body(context, *parse_json(args), *parse_json(kwargs));
  }

  std::string refusal(const std::string& task, const char* args, const char* kwargs = "{}") {
    try {
      call(task, args, kwargs);
    } catch (const BadArguments& e) {
      CHECK(e.info().type == "TypeError");
      return e.what();
    }
    return "accepted";
  }
};

double add(Context&, double x, double y) { return x + y; }
void nothing(Context&) {}
Json whole(Context&, std::int64_t value) { return value; }
Json small(Context&, std::uint8_t value) { return value; }
Json maybe(Context&, std::optional<std::string> text, std::optional<int> number) {
  return Json{{"text", text ? Json(*text) : Json(nullptr)},
              {"number", number ? Json(*number) : Json(nullptr)}};
}

}  // namespace

TEST_CASE("arguments come by position, by name and mixed") {
  Caller c;
  c.app.task("math.add", add, {.params = {"x", "y"}});
  CHECK(c.call("math.add", "[1, 2.5]") == 3.5);
  CHECK(c.call("math.add", "[]", R"({"y": 2, "x": 1})") == 3.0);
  CHECK(c.call("math.add", "[1]", R"({"y": 2})") == 3.0);
}

TEST_CASE("what does not fit is refused in Python's words") {
  Caller c;
  c.app.task("math.add", add, {.params = {"x", "y"}});
  c.app.task("nothing", nothing);
  c.app.task("three", [](Context&, int, int, int) {}, {.params = {"a", "b", "c"}, .defaults = {{"c", 3}}});
  c.app.task("all", [](Context&, int, int, int) {}, {.params = {"a", "b", "c"}});
  CHECK(c.refusal("math.add", "[1]") == "add() missing 1 required positional argument: 'y'");
  CHECK(c.refusal("math.add", "[]") == "add() missing 2 required positional arguments: 'x' and 'y'");
  CHECK(c.refusal("all", "[]") == "all() missing 3 required positional arguments: 'a', 'b', and 'c'");
  CHECK(c.refusal("math.add", "[1, 2]", R"({"z": 3})") == "add() got an unexpected keyword argument 'z'");
  CHECK(c.refusal("math.add", "[1, 2]", R"({"x": 3})") == "add() got multiple values for argument 'x'");
  CHECK(c.refusal("math.add", "[1, 2, 3]") == "add() takes 2 positional arguments but 3 were given");
  CHECK(c.refusal("nothing", "[1]") == "nothing() takes 0 positional arguments but 1 was given");
  CHECK(c.refusal("three", "[1, 2, 3, 4]") ==
        "three() takes from 2 to 3 positional arguments but 4 were given");
  CHECK(c.refusal("math.add", R"(["1", 2])") == "add() argument 'x' must be float, not str");
}

TEST_CASE("defaults and optional parameters may be left out") {
  Caller c;
  c.app.task("maybe", maybe, {.params = {"text", "number"}});
  c.app.task("scale", [](Context&, int value, int by) { return value * by; },
             {.params = {"value", "by"}, .defaults = {{"by", 10}}});
  CHECK(c.call("maybe", "[]") == Json{{"text", nullptr}, {"number", nullptr}});
  CHECK(c.call("maybe", "[null]", R"({"number": 4})") == Json{{"text", nullptr}, {"number", 4}});
  CHECK(c.call("scale", "[2]") == 20);
  CHECK(c.call("scale", "[2]", R"({"by": 3})") == 6);
}

TEST_CASE("numbers are exact") {
  Caller c;
  c.app.task("whole", whole, {.params = {"value"}});
  c.app.task("small", small, {.params = {"value"}});
  c.app.task("flag", [](Context&, bool value) { return value; }, {.params = {"value"}});
  c.app.task("real", [](Context&, double value) { return value; }, {.params = {"value"}});
  CHECK(c.call("whole", "[-9223372036854775808]") == std::numeric_limits<std::int64_t>::min());
  CHECK(c.refusal("whole", "[9223372036854775808]").find("is not between") != std::string::npos);
  CHECK(c.refusal("whole", "[123456789012345678901234567890]").find("is not between") != std::string::npos);
  CHECK(c.refusal("whole", "[1.0]") == "whole() argument 'value' must be int, not float");
  CHECK(c.refusal("whole", "[true]") == "whole() argument 'value' must be int, not bool");
  CHECK(c.call("small", "[255]") == 255);
  CHECK(c.refusal("small", "[256]") == "small() argument 'value': 256 is not between 0 and 255");
  CHECK(c.refusal("small", "[-1]") == "small() argument 'value': -1 is not between 0 and 255");
  CHECK(c.refusal("flag", "[1]") == "flag() argument 'value' must be bool, not int");
  CHECK(c.call("real", "[3]") == 3.0);
  CHECK(c.call("real", "[100000000000000000000000]") == 1e23);
  CHECK(c.refusal("real", "[true]") == "real() argument 'value' must be float, not bool");
}

TEST_CASE("containers and own types") {
  Caller c;
  c.app.task("sum", [](Context&, std::vector<int> values) {
    int sum = 0;
    for (int value : values) sum += value;
    return sum;
  });
  c.app.task("keys", [](Context&, const std::map<std::string, double>& values) { return values.size(); });
  c.app.task("item",
             [](Context&, shop::Item item) {
               ++item.count;
               return item;
             },
             {.params = {"item"}});
  c.app.task("mirror",
             [](Context&, const std::vector<shop::Point>& points) {
               return shop::Point{points.at(0).y, points.at(0).x};
             },
             {.params = {"points"}});
  c.app.task("decimal", [](Context&, Decimal amount) { return amount; }, {.params = {"amount"}});
  CHECK(c.call("sum", "[[1, 2, 3]]") == 6);
  CHECK(c.refusal("sum", "[[1, \"2\"]]") == "sum() argument 'argument 1' must be int, not str");
  CHECK(c.call("keys", R"([{"a": 1, "b": 2.5}])") == 2);
  CHECK(c.call("item", R"([{"name": "nut", "count": 2}])") == Json{{"name", "nut"}, {"count", 3}});
  CHECK(c.refusal("item", R"([{"name": "nut"}])").find("count") != std::string::npos);
  CHECK(c.call("mirror", R"([[{"x": 1, "y": 2}]])") == Json{{"x", 2}, {"y", 1}});
  CHECK(c.call("decimal", R"([{"__type__": "decimal", "__value__": "1.10"}])") ==
        Json{{"__type__", "decimal"}, {"__value__", "1.10"}});
  CHECK(c.refusal("decimal", "[true]").find("decimal() argument 'amount'") == 0);
}

TEST_CASE("void is null, lambdas may capture, raw tasks get everything") {
  Caller c;
  int calls = 0;
  c.app.task("count", [&calls](Context&) { ++calls; });
  c.app.task(
      "pointer", +[](Context&, std::string_view text) { return std::string(text) + "!"; });
  c.app.raw_task("raw", [](Context&, const Json& args, const Json& kwargs) {
    return Json{{"args", args}, {"kwargs", kwargs}};
  });
  CHECK(c.call("count", "[]").is_null());
  CHECK(calls == 1);
  CHECK(c.call("pointer", "[\"hey\"]") == "hey!");
  CHECK(c.call("raw", "[1]", R"({"k": 2})") == Json{{"args", {1}}, {"kwargs", {{"k", 2}}}});
}

TEST_CASE("senders are told what a task takes, and what is wrong with what they give") {
  struct Address {
    std::string street;
    static Json json_schema() { return Json{{"type", "object"}, {"required", Json::array({"street"})}}; }
  };
  App app;
  app.task(
      "typed",
      [](Context&, const std::string&, std::optional<int>, const std::vector<double>&, bool, const Json&) {},
      {.params = {"id", "count", "weights", "force", "more"},
       .defaults = {{"force", false}, {"more", nullptr}},
       .schemas = {{"more", Json{{"type", "object"}}}}});
  const auto& rules = app.find("typed")->rules;
  std::string told;
  for (const auto& argument : rules.arguments)
    told += argument.name + (argument.required ? "! " : " ") + dump_json(argument.schema) + "\n";
  CHECK(told ==
        "id! {\"type\": \"string\"}\n"
        "count {\"anyOf\": [{\"type\": \"integer\", \"minimum\": -2147483648, \"maximum\": 2147483647}, "
        "{\"type\": \"null\"}]}\n"
        "weights! {\"type\": \"array\", \"items\": {\"type\": \"number\"}}\n"
        "force {\"type\": \"boolean\", \"default\": false}\n"
        "more {\"type\": \"object\", \"default\": null}\n");
  CHECK(
      dump_json(arguments::schema_of<std::map<std::string, Address>>()) ==
      "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"object\", \"required\": [\"street\"]}}");
  const auto faults = [&](const char* args, const char* kwargs) {
    std::string out;
    for (const auto& fault : rules.check(*parse_json(args), *parse_json(kwargs)))
      out += "[" + fault.pointer + "] " + fault.what + "\n";
    return out;
  };
  CHECK(faults(R"(["a", null, [1]])", "{}").empty());
  CHECK(faults(R"(["a"])", R"({"weights": [], "count": 7})").empty());
  CHECK(faults(R"([1])", R"({"weights": [true], "count": "x"})") ==
        "[/args/0] task() argument 'id' must be str, not int\n"
        "[/kwargs/count] task() argument 'count' must be int, not str\n"
        "[/kwargs/weights] task() argument 'weights' must be float, not bool\n");
  CHECK(faults(R"(["a"])", "{}") == "[] task() missing 1 required positional argument: 'weights'\n");
}

TEST_CASE("a task that cannot be registered is the programmer's error") {
  App app;
  app.task("nothing", nothing);
  CHECK_THROWS_AS(app.task("nothing", nothing), std::logic_error);
  CHECK_THROWS_AS(app.task("add", add, {.params = {"x"}}), std::logic_error);
  CHECK_THROWS_AS(app.task("add", add, {.params = {"x", "y"}, .defaults = {{"z", 1}}}), std::logic_error);
  CHECK(app.find("add") == nullptr);
  REQUIRE(app.tasks().size() == 1);
  CHECK(app.tasks()[0]->name == "nothing");
}
