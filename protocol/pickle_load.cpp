#include "protocol/json_object.hpp"
#include "protocol/pickle.hpp"
#include "protocol/tagged.hpp"
#include "protocol/utf8.hpp"

#include <bit>
#include <charconv>
#include <cstdint>
#include <deque>
#include <unordered_map>

namespace celeriac {
namespace {

constexpr std::size_t max_bytes = 512u << 20;
constexpr std::size_t max_depth = 512;
constexpr std::size_t max_expanded = 16u << 20;  // values, after shared references are written out
constexpr std::size_t max_expanded_text = 512u << 20;
constexpr std::size_t max_long_bytes = 1800;  // about Python's 4300 digits

// The stack machine works on nodes, because a pickle fills a container after it has been memoized.
struct Node {
  enum class Kind : std::uint8_t { scalar, list, dict, opaque, mark } kind = Kind::scalar;
  Json scalar;               // for opaque: its name
  std::vector<Node*> items;  // for dict: key, value, key, value
};

// Two's complement, least significant byte first, to decimal digits.
std::string decimal_of(std::string_view bytes) {
  const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  std::vector<std::uint32_t> limbs;  // base 10^9, least significant first
  for (std::size_t i = bytes.size(); i-- > 0;) {
    std::uint64_t carry = static_cast<unsigned char>(bytes[i]);
    if (negative) carry ^= 0xFF;  // -n - 1
    for (auto& limb : limbs) {
      carry += static_cast<std::uint64_t>(limb) << 8;
      limb = static_cast<std::uint32_t>(carry % 1000000000);
      carry /= 1000000000;
    }
    if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
  }
  if (negative) {
    std::size_t i = 0;
    while (i < limbs.size() && limbs[i] == 999999999) limbs[i++] = 0;
    if (i == limbs.size()) {
      limbs.push_back(1);
    } else {
      ++limbs[i];
    }
  }
  if (limbs.empty()) return "0";
  std::string text = negative ? "-" : "";
  text += std::to_string(limbs.back());
  for (std::size_t i = limbs.size() - 1; i-- > 0;) {
    const std::string part = std::to_string(limbs[i]);
    text.append(9 - part.size(), '0').append(part);
  }
  return text;
}

class Machine {
 public:
  explicit Machine(std::string_view bytes) : bytes_(bytes) {}

  Expected<Json> run() {
    Json value;
    if (bytes_.size() > max_bytes) fail("too long");
    while (!error_ && !stopped_) step();
    if (!error_) {
      if (stack_.size() != 1) {
        fail("no single value is left");
      } else {
        expand(*stack_.back(), value, 0);
      }
    }
    if (error_) return unexpected("pickle: byte " + std::to_string(at_) + ": " + error_);
    return value;
  }

 private:
  void fail(const char* what) {
    if (!error_) error_ = what;
  }

  // --- input -----------------------------------------------------------------------------------
  std::uint64_t number(std::size_t size) {
    if (bytes_.size() - at_ < size) {
      fail("cut short");
      return 0;
    }
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < size; ++i) {
      n |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[at_ + i])) << 8 * i;
    }
    at_ += size;
    return n;
  }

  std::string_view take(std::uint64_t size) {
    if (error_ || size > bytes_.size() - at_) {
      fail("cut short");
      return {};
    }
    const auto taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }

  std::string_view line() {
    const auto end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) {
      fail("cut short");
      return {};
    }
    const auto text = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  // --- stack -----------------------------------------------------------------------------------
  Node* make(Node::Kind kind) {
    nodes_.emplace_back();
    nodes_.back().kind = kind;
    return &nodes_.back();
  }

  void push(Json scalar) {
    Node* node = make(Node::Kind::scalar);
    node->scalar = std::move(scalar);
    stack_.push_back(node);
  }

  void push_opaque(std::string name) {
    Node* node = make(Node::Kind::opaque);
    node->scalar = std::move(name);
    stack_.push_back(node);
  }

  Node* pop() {
    static Node nothing;
    if (stack_.empty() || stack_.back()->kind == Node::Kind::mark) {
      fail("stack is empty");
      return &nothing;
    }
    Node* node = stack_.back();
    stack_.pop_back();
    return node;
  }

  std::vector<Node*> pop_to_mark() {
    std::size_t i = stack_.size();
    while (i > 0 && stack_[i - 1]->kind != Node::Kind::mark) --i;
    if (i == 0) {
      fail("no mark");
      return {};
    }
    std::vector<Node*> items(stack_.begin() + static_cast<std::ptrdiff_t>(i), stack_.end());
    stack_.resize(i - 1);
    return items;
  }

  Node* top(Node::Kind wanted) {
    if (stack_.empty() || (stack_.back()->kind != wanted && stack_.back()->kind != Node::Kind::opaque)) {
      fail("nothing to add to");
      return nullptr;
    }
    return stack_.back();
  }

  void append(const std::vector<Node*>& items) {
    if (Node* list = top(Node::Kind::list); list && list->kind == Node::Kind::list) {
      list->items.insert(list->items.end(), items.begin(), items.end());
    }
  }

  void set_items(const std::vector<Node*>& items) {
    if (items.size() % 2 != 0) return fail("a key without a value");
    if (Node* dict = top(Node::Kind::dict); dict && dict->kind == Node::Kind::dict) {
      dict->items.insert(dict->items.end(), items.begin(), items.end());
    }
  }

  void push_items(Node::Kind kind, std::vector<Node*> items) {
    if (kind == Node::Kind::dict && items.size() % 2 != 0) return fail("a key without a value");
    Node* node = make(kind);
    node->items = std::move(items);
    stack_.push_back(node);
  }

  void push_tuple(std::size_t size) {
    std::vector<Node*> items(size);
    for (std::size_t i = size; i-- > 0;) items[i] = pop();
    push_items(Node::Kind::list, std::move(items));
  }

  void push_text(std::string_view text) {
    // Python pickles lone surrogates as they are ("surrogatepass").
    const char* p = text.data();
    const char* const end = p + text.size();
    while (p != end) {
      if (decode_utf8(p, end, Surrogates::accept) < 0) return fail("invalid UTF-8");
    }
    push(std::string(text));
  }

  void push_digits(std::string_view digits) {
    const char* const end = digits.data() + digits.size();
    std::uint64_t positive = 0;
    std::int64_t number = 0;
    const auto parsed = [&](auto result) { return result.ec == std::errc() && result.ptr == end; };
    if (parsed(std::from_chars(digits.data(), end, positive))) return push(positive);
    if (parsed(std::from_chars(digits.data(), end, number))) return push(number);
    const auto body = digits.substr(!digits.empty() && digits.front() == '-');
    if (body.empty() || body.size() > 4300 || body.front() == '0' ||
        body.find_first_not_of("0123456789") != std::string_view::npos) {
      return fail("no integer");
    }
    push(big_integer(digits));
  }

  void push_long(std::uint64_t size) {
    const auto bytes = take(size);
    if (bytes.size() > max_long_bytes) return fail("integer too long");
    push_digits(decimal_of(bytes));
  }

  void push_float_text(std::string_view text) {
    double value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc() || end != text.data() + text.size()) return fail("no float");
    push(value);
  }

  // --- Python objects --------------------------------------------------------------------------
  void global(std::string_view module, std::string_view name) {
    if (module.size() + name.size() > 512 || !is_utf8(module) || !is_utf8(name))
      return fail("bad name of a class");
    push_opaque(std::string(module) + "." + std::string(name));
  }

  void stack_global() {
    const Node* name = pop();
    const Node* module = pop();
    if (!name->scalar.is_string() || !module->scalar.is_string()) return fail("bad name of a class");
    global(module->scalar.get_ref<const std::string&>(), name->scalar.get_ref<const std::string&>());
  }

  // Calling: the result stands for an object of the class. A few builtins of plain data are known by name.
  void call(const Node* arguments, const Node* callable) {
    if (callable->kind != Node::Kind::opaque) return push_opaque("object");
    const auto& name = callable->scalar.get_ref<const std::string&>();
    const Node* only =
        arguments->kind == Node::Kind::list && arguments->items.size() == 1 ? arguments->items[0] : nullptr;
    if (only && only->kind == Node::Kind::list && (name == "builtins.set" || name == "builtins.frozenset")) {
      return push_items(Node::Kind::list, only->items);
    }
    if (only && only->kind == Node::Kind::scalar && only->scalar.is_string()) {
      if (name == "decimal.Decimal") return push(make_tag("decimal", only->scalar));
      if (name == "uuid.UUID") return push(uuid_tag(only->scalar));
      for (const char* type : {"datetime", "date", "time"})
        if (name == std::string("datetime.") + type + ".fromisoformat")
          return push(make_tag(type, only->scalar));
    }
    push_opaque(name);
  }

  static Json uuid_tag(const Json& text) {
    try {
      return Json(text.get<Uuid>());
    } catch (const std::invalid_argument&) {
      return pickle_opaque("uuid.UUID");
    }
  }

  void object_from_mark() {
    const auto items = pop_to_mark();
    push_opaque(!items.empty() && items[0]->kind == Node::Kind::opaque ? items[0]->scalar.get<std::string>()
                                                                       : "object");
  }

  void instance() {
    const auto module = line();
    const auto name = line();
    pop_to_mark();
    if (!error_) global(module, name);
  }

  // --- memo ------------------------------------------------------------------------------------
  void remember(std::uint64_t index) {
    if (stack_.empty() || stack_.back()->kind == Node::Kind::mark) return fail("stack is empty");
    memo_[index] = stack_.back();
  }

  void recall(std::uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) return fail("unknown memo");
    stack_.push_back(found->second);
  }

  std::uint64_t index_of_line() {
    const auto text = line();
    std::uint64_t index = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), index).ec != std::errc()) fail("bad memo");
    return index;
  }

  void step();
  bool step_data(unsigned char opcode);
  bool step_object(unsigned char opcode);
  void expand(const Node& node, Json& out, std::size_t depth);
  bool expand_key(const Node& node, std::string& out);

  std::string_view bytes_;
  std::size_t at_ = 0;
  const char* error_ = nullptr;
  bool stopped_ = false;
  std::deque<Node> nodes_;
  std::vector<Node*> stack_;
  std::unordered_map<std::uint64_t, Node*> memo_;
  std::size_t expanded_ = 0, expanded_text_ = 0;
};

void Machine::step() {
  if (at_ == bytes_.size()) return fail("cut short");
  const auto opcode = static_cast<unsigned char>(bytes_[at_++]);
  if (!step_data(opcode) && !step_object(opcode)) fail("unknown opcode");
}

bool Machine::step_data(unsigned char opcode) {
  switch (opcode) {
    case 0x80:
      if (number(1) > 5) fail("unknown protocol");
      return true;
    case 0x95:
      number(8);
      return true;  // a frame: only a hint for reading ahead
    case '.':
      stopped_ = true;
      return true;
    case 'N':
      push(nullptr);
      return true;
    case 0x88:
      push(true);
      return true;
    case 0x89:
      push(false);
      return true;
    case 'K':
      push(number(1));
      return true;
    case 'M':
      push(number(2));
      return true;
    case 'J':
      push(std::int64_t{static_cast<std::int32_t>(number(4))});
      return true;
    case 'I': {
      const auto text = line();
      if (text == "00" || text == "01") {
        push(text == "01");
      } else {
        push_digits(text);
      }
      return true;
    }
    case 'L': {
      auto text = line();
      if (text.ends_with('L')) text.remove_suffix(1);
      push_digits(text);
      return true;
    }
    case 0x8a:
      push_long(number(1));
      return true;
    case 0x8b:
      push_long(number(4));
      return true;
    case 'F':
      push_float_text(line());
      return true;
    case 'G': {
      const auto bytes = take(8);
      std::uint64_t bits = 0;
      for (const char c : bytes) bits = bits << 8 | static_cast<unsigned char>(c);
      push(std::bit_cast<double>(bits));
      return true;
    }
    case 0x8c:
      push_text(take(number(1)));
      return true;
    case 'X':
      push_text(take(number(4)));
      return true;
    case 0x8d:
      push_text(take(number(8)));
      return true;
    case 'U':
    case 'C':
      push(tagged_bytes(take(number(1))));
      return true;
    case 'T':
    case 'B':
      push(tagged_bytes(take(number(4))));
      return true;
    case 0x8e:
    case 0x96:
      push(tagged_bytes(take(number(8))));
      return true;
    case ']':
      push_items(Node::Kind::list, {});
      return true;
    case ')':
      push_items(Node::Kind::list, {});
      return true;
    case 0x8f:
      push_items(Node::Kind::list, {});
      return true;  // a set
    case '}':
      push_items(Node::Kind::dict, {});
      return true;
    case '(':
      stack_.push_back(make(Node::Kind::mark));
      return true;
    case 'l':
    case 't':
    case 0x91:
      push_items(Node::Kind::list, pop_to_mark());
      return true;
    case 'd':
      push_items(Node::Kind::dict, pop_to_mark());
      return true;
    case 0x85:
      push_tuple(1);
      return true;
    case 0x86:
      push_tuple(2);
      return true;
    case 0x87:
      push_tuple(3);
      return true;
    case 'a':
      append({pop()});
      return true;
    case 'e':
    case 0x90:
      append(pop_to_mark());
      return true;
    case 's': {
      Node* value = pop();
      Node* key = pop();
      set_items({key, value});
      return true;
    }
    case 'u':
      set_items(pop_to_mark());
      return true;
    case '0':
      if (stack_.empty()) {
        fail("stack is empty");
      } else {
        stack_.pop_back();
      }
      return true;
    case '1':
      pop_to_mark();
      return true;
    case '2':
      stack_.push_back(pop());
      if (!error_) stack_.push_back(stack_.back());
      return true;
    case 'p':
      remember(index_of_line());
      return true;
    case 'q':
      remember(number(1));
      return true;
    case 'r':
      remember(number(4));
      return true;
    case 0x94:
      remember(memo_.size());
      return true;
    case 'g':
      recall(index_of_line());
      return true;
    case 'h':
      recall(number(1));
      return true;
    case 'j':
      recall(number(4));
      return true;
    default:
      return false;
  }
}

bool Machine::step_object(unsigned char opcode) {
  switch (opcode) {
    case 'c': {
      const auto module = line();
      const auto name = line();
      if (!error_) global(module, name);
      return true;
    }
    case 0x93:
      stack_global();
      return true;
    case 'i':
      instance();
      return true;
    case 'o':
      object_from_mark();
      return true;
    case 'R':
    case 0x81: {
      const Node* arguments = pop();
      const Node* callable = pop();
      call(arguments, callable);
      return true;
    }
    case 0x92: {  // class, arguments, keyword arguments
      pop();
      const Node* arguments = pop();
      const Node* callable = pop();
      call(arguments, callable);
      return true;
    }
    case 'b':
      pop();
      return true;  // state of the object below, dropped
    case 'P':
      line();
      push_opaque("persistent object");
      return true;
    case 'Q':
      pop();
      push_opaque("persistent object");
      return true;
    case 0x82:
      number(1);
      push_opaque("extension");
      return true;
    case 0x83:
      number(2);
      push_opaque("extension");
      return true;
    case 0x84:
      number(4);
      push_opaque("extension");
      return true;
    case 0x97:
      push_opaque("out-of-band buffer");
      return true;
    case 0x98:
      return true;
    case 'S':
    case 'V':
      line();
      push_opaque("protocol 0 string");
      return true;
    default:
      return false;
  }
}

// What json.dumps makes of a key.
bool Machine::expand_key(const Node& node, std::string& out) {
  Json key;
  expand(node, key, max_depth);
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

void Machine::expand(const Node& node, Json& out, std::size_t depth) {
  if (error_) return;
  if (++expanded_ > max_expanded || expanded_text_ > max_expanded_text) return fail("expands to too much");
  const bool container = node.kind == Node::Kind::list || node.kind == Node::Kind::dict;
  if (container && depth >= max_depth) return fail("nested too deeply, a cycle, or a key that is no text");
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

}  // namespace

Expected<Json> pickle_load(std::string_view bytes) { return Machine(bytes).run(); }

Json pickle_opaque(std::string_view name) { return make_tag("python", std::string(name)); }

bool is_pickle_opaque(const Json& value) {
  const auto tag = find_tag(value);
  return tag && tag->type == "python";
}

}  // namespace celeriac
