#include "protocol/json_object.hpp"
#include "protocol/pickle.hpp"
#include "protocol/pickle_machine.hpp"
#include "protocol/tagged.hpp"

namespace celeriac {
namespace {

constexpr std::size_t max_nesting = 512;
constexpr std::size_t max_expanded = 16u << 20;  // values, after shared references are written out
constexpr std::size_t max_expanded_text = 512u << 20;

}  // namespace

// What json.dumps makes of a key.
bool PickleMachine::expand_key(const Node& node, std::string& out) {
  Json key;
  expand(node, key, max_nesting);
  if (error_) return false;
  if (key.is_string()) {
    out = key.get<std::string>();
  } else if (const auto tag = find_tag(key)) {
    const auto text = tagged_text(key);
    out = text ? *text : tag->value->is_string() ? tag->value->get<std::string>() : dump_json(*tag->value);
  } else {
    out = dump_json(key);
  }
  expanded_text_ += out.size();
  return true;
}

void PickleMachine::expand(const Node& node, Json& out, std::size_t depth) {
  if (error_) return;
  if (++expanded_ > max_expanded || expanded_text_ > max_expanded_text) return fail("expands to too much");
  const bool container = node.kind == Node::Kind::list || node.kind == Node::Kind::dict;
  if (container && depth >= max_nesting) return fail("nested too deeply, a cycle, or a key that is no text");
  switch (node.kind) {
    case Node::Kind::scalar:
      if (node.scalar.is_string()) expanded_text_ += node.scalar.get_ref<const std::string&>().size();
      if (node.scalar.is_object()) expanded_text_ += dump_json(node.scalar).size();
      out = node.scalar;
      return;
    case Node::Kind::opaque:
      expanded_text_ += node.scalar.get_ref<const std::string&>().size();
      out = pickle_opaque(node.scalar.get_ref<const std::string&>());
      return;
    case Node::Kind::mark:
      return fail("a mark is left");
    case Node::Kind::list: {
      out = Json::array();
      auto& array = out.get_ref<Json::array_t&>();
      array.resize(node.items.size());
      for (std::size_t i = 0; i < node.items.size() && !error_; ++i)
        expand(*node.items[i], array[i], depth + 1);
      return;
    }
    case Node::Kind::dict: {
      Members members(node.items.size() / 2);
      for (std::size_t i = 0; i < members.size() && !error_; ++i) {
        if (expand_key(*node.items[2 * i], members[i].first))
          expand(*node.items[2 * i + 1], members[i].second, depth + 1);
      }
      out = take_object(members);
      return;
    }
  }
}

}  // namespace celeriac
