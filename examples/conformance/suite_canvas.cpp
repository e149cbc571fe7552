// Tasks of Celery's integration tests that send compositions, or replace themselves by one.
#include "conformance/tasks.hpp"

namespace conformance {
namespace {

using celeriac::Context;
using celeriac::Json;
using celeriac::Signature;

const std::string suite = "t.integration.tasks.";

Signature task(const std::string& name, std::vector<Json> args = {}, Json kwargs = Json::object()) {
  return Signature(suite + name, std::move(args), std::move(kwargs));
}

std::vector<Json> list(const Json& args) { return {args.begin(), args.end()}; }

std::vector<Signature> additions(const std::vector<Json>& nums, const Json& val) {
  std::vector<Signature> members;
  for (const Json& num : nums) members.push_back(task("add", {num, val}));
  return members;
}

Json fail_replaced(Context& context, const Json& args, const Json&) {
  context.replace(task("fail", list(args)).immutable());
}

Json chain_add(Context& context, Json x, Json y) {
  context.apply(celeriac::chain({task("add", {x, x}), task("add", {y})}));
  return nullptr;
}

Json chord_add(Context& context, Json x, Json y) {
  context.apply(celeriac::chord({task("add", {x, x})}, task("add", {y})));
  return nullptr;
}

Json add_replaced(Context& context, Json x, Json y) { context.replace(task("add", {x, y})); }

Signature echo_of(const Json& kwargs) {
  const auto message = kwargs.find("link_msg");
  if (message == kwargs.end() || message->is_null()) return task("redis_echo");
  return task("redis_echo", {*message}).immutable();
}

Json replace_with_chain(Context& context, const Json& args, const Json& kwargs) {
  context.replace(celeriac::chain({task("identity", list(args)), task("identity")}).link(echo_of(kwargs)));
}

Json replace_with_chain_which_raises(Context& context, const Json& args, const Json& kwargs) {
  context.replace(
      celeriac::chain({task("identity", list(args)), task("raise_error")}).on_error(echo_of(kwargs)));
}

Json replace_with_empty_chain(Context& context, const Json&, const Json&) {
  context.replace(celeriac::chain({}));
}

Json add_to_all(Context& context, std::vector<Json> nums, Json val) {
  context.replace(celeriac::group(additions(nums, val)));
}

Json add_to_all_to_chord(Context& context, std::vector<Json> nums, Json val) {
  for (const Signature& addition : additions(nums, val)) context.add_to_chord(addition);
  return 0;
}

Json add_chord_to_chord(Context& context, std::vector<Json> nums, Json val) {
  context.add_to_chord(celeriac::chord(additions(nums, val), task("tsum")));
  return 0;
}

Json second_order_replace1(Context& context, bool state) {
  context.call(suite + "redis_echo", Json::array({state ? "Out A" : "In A"}));
  if (state) return nullptr;
  context.replace(celeriac::chain(
      {task("second_order_replace2"), task("second_order_replace1", {}, {{"state", true}}).immutable()}));
}

Json second_order_replace2(Context& context, bool state) {
  context.call(suite + "redis_echo", Json::array({state ? "Out B" : "In B"}));
  if (state) return nullptr;
  context.replace(celeriac::chain(
      {task("redis_echo", {"In/Out C"}), task("second_order_replace2", {}, {{"state", true}}).immutable()}));
}

Json build_chain_inside_task(Context& context) {
  return context.apply(
      celeriac::chain({task("add", {1, 1}), task("add", {2}),
                       celeriac::group({task("add", {3}), task("add", {4})}), task("add", {5})}));
}

Json replace_with_stamped_task(Context& context, std::optional<Json> replace_with) {
  Signature next =
      replace_with && replace_with->is_object() ? Signature::read(*replace_with) : task("replaced_with_me");
  const Json& options = next.json()["options"];
  Json names = options.value("stamped_headers", Json::array());
  const Json kept = celeriac::parse_json(context.headers().stamped_headers).value_or(Json::array());
  const Json stamps = celeriac::parse_json(context.headers().stamps).value_or(Json::object());
  for (const Json& name : kept) {
    names.push_back(name);
    next.set(name.get<std::string>(), stamps.value(name.get<std::string>(), Json()));
  }
  names.push_back("StampOnReplace");
  next.set("stamped_headers", names).set("StampOnReplace", "This is the replaced task");
  context.replace(next);
}

Json rebuild_signature(Context&, Json sig_dict) {
  Signature::read(sig_dict);
  return nullptr;
}

void add_nested(celeriac::App& app, const std::string& name, const Signature& signature) {
  app.task(suite + "return_nested_signature_" + name, [json = signature.json()](Context&) { return json; });
}

void add_nested_signatures(celeriac::App& app) {
  using celeriac::chain, celeriac::chord, celeriac::group;
  const Signature add = task("add");
  add_nested(app, "chain_chain", chain({chain({add})}));
  add_nested(app, "chain_group", chain({group({add})}));
  add_nested(app, "chain_chord", chain({chord({add}, add)}));
  add_nested(app, "group_chain", group({chain({add})}));
  add_nested(app, "group_group", group({group({add})}));
  add_nested(app, "group_chord", group({chord({add}, add)}));
  add_nested(app, "chord_chain", chord({chain({add})}, add));
  add_nested(app, "chord_group", chord({group({add})}, add));
  add_nested(app, "chord_chord", chord({chord({add}, add)}, add));
}

}  // namespace

void add_suite_canvas(celeriac::App& app) {
  app.raw_task(suite + "fail_replaced", fail_replaced);
  app.task(suite + "chain_add", chain_add, {.params = {"x", "y"}});
  app.task(suite + "chord_add", chord_add, {.params = {"x", "y"}});
  app.task(suite + "add_replaced", add_replaced, {.params = {"x", "y"}});
  app.raw_task(suite + "replace_with_chain", replace_with_chain);
  app.raw_task(suite + "replace_with_chain_which_raises", replace_with_chain_which_raises);
  app.raw_task(suite + "replace_with_empty_chain", replace_with_empty_chain);
  app.task(suite + "add_to_all", add_to_all, {.params = {"nums", "val"}});
  app.task(suite + "add_to_all_to_chord", add_to_all_to_chord, {.params = {"nums", "val"}});
  app.task(suite + "add_chord_to_chord", add_chord_to_chord, {.params = {"nums", "val"}});
  app.task(suite + "second_order_replace1", second_order_replace1,
           {.params = {"state"}, .defaults = {{"state", false}}});
  app.task(suite + "second_order_replace2", second_order_replace2,
           {.params = {"state"}, .defaults = {{"state", false}}});
  app.task(suite + "build_chain_inside_task", build_chain_inside_task);
  app.task(suite + "replace_with_stamped_task", replace_with_stamped_task, {.params = {"replace_with"}});
  app.task(suite + "rebuild_signature", rebuild_signature, {.params = {"sig_dict"}});
  add_nested_signatures(app);
}

}  // namespace conformance
