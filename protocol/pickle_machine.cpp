#include "protocol/pickle_machine.hpp"

#include "protocol/pickle.hpp"
#include "protocol/tagged.hpp"
#include "protocol/utf8.hpp"

#include <charconv>

namespace celeriac {
namespace {

constexpr std::size_t max_bytes = 512u << 20;
constexpr std::size_t max_long_bytes = 1800;  // about Python's 4300 digits

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

}  // namespace

Expected<Json> PickleMachine::run() {
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

void PickleMachine::fail(const char* what) {
  if (!error_) error_ = what;
}

std::uint64_t PickleMachine::number(std::size_t size) {
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

std::string_view PickleMachine::take(std::uint64_t size) {
  if (error_ || size > bytes_.size() - at_) {
    fail("cut short");
    return {};
  }
  const auto taken = bytes_.substr(at_, size);
  at_ += size;
  return taken;
}

std::string_view PickleMachine::line() {
  const auto end = bytes_.find('\n', at_);
  if (end == std::string_view::npos) {
    fail("cut short");
    return {};
  }
  const auto text = bytes_.substr(at_, end - at_);
  at_ = end + 1;
  return text;
}

PickleNode* PickleMachine::make(Node::Kind kind) {
  nodes_.emplace_back();
  nodes_.back().kind = kind;
  return &nodes_.back();
}

void PickleMachine::push(Json scalar) {
  Node* node = make(Node::Kind::scalar);
  node->scalar = std::move(scalar);
  stack_.push_back(node);
}

void PickleMachine::push_opaque(std::string name) {
  Node* node = make(Node::Kind::opaque);
  node->scalar = std::move(name);
  stack_.push_back(node);
}

PickleNode* PickleMachine::pop() {
  if (stack_.empty() || stack_.back()->kind == Node::Kind::mark) {
    fail("stack is empty");
    return make(Node::Kind::scalar);
  }
  Node* node = stack_.back();
  stack_.pop_back();
  return node;
}

std::vector<PickleNode*> PickleMachine::pop_to_mark() {
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

PickleNode* PickleMachine::top(Node::Kind wanted) {
  if (stack_.empty() || (stack_.back()->kind != wanted && stack_.back()->kind != Node::Kind::opaque)) {
    fail("nothing to add to");
    return nullptr;
  }
  return stack_.back();
}

void PickleMachine::append(const std::vector<Node*>& items) {
  if (Node* list = top(Node::Kind::list); list && list->kind == Node::Kind::list) {
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
}

void PickleMachine::set_items(const std::vector<Node*>& items) {
  if (items.size() % 2 != 0) return fail("a key without a value");
  if (Node* dict = top(Node::Kind::dict); dict && dict->kind == Node::Kind::dict) {
    dict->items.insert(dict->items.end(), items.begin(), items.end());
  }
}

void PickleMachine::push_items(Node::Kind kind, std::vector<Node*> items) {
  if (kind == Node::Kind::dict && items.size() % 2 != 0) return fail("a key without a value");
  Node* node = make(kind);
  node->items = std::move(items);
  stack_.push_back(node);
}

void PickleMachine::push_tuple(std::size_t size) {
  std::vector<Node*> items(size);
  for (std::size_t i = size; i-- > 0;) items[i] = pop();
  push_items(Node::Kind::list, std::move(items));
}

void PickleMachine::push_text(std::string_view text) {
  // Python pickles lone surrogates as they are ("surrogatepass").
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    if (decode_utf8(p, end, Surrogates::accept) < 0) return fail("invalid UTF-8");
  }
  push(std::string(text));
}

void PickleMachine::push_digits(std::string_view digits) {
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

void PickleMachine::push_long(std::uint64_t size) {
  const auto bytes = take(size);
  if (bytes.size() > max_long_bytes) return fail("integer too long");
  push_digits(decimal_of(bytes));
}

void PickleMachine::push_float_text(std::string_view text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) return fail("no float");
  push(value);
}

void PickleMachine::global(std::string_view module, std::string_view name) {
  if (module.size() + name.size() > 512 || !is_utf8(module) || !is_utf8(name))
    return fail("bad name of a class");
  push_opaque(std::string(module) + "." + std::string(name));
}

void PickleMachine::stack_global() {
  const Node* name = pop();
  const Node* module = pop();
  if (!name->scalar.is_string() || !module->scalar.is_string()) return fail("bad name of a class");
  global(module->scalar.get_ref<const std::string&>(), name->scalar.get_ref<const std::string&>());
}

void PickleMachine::call(const Node* arguments, const Node* callable) {
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

Json PickleMachine::uuid_tag(const Json& text) {
  try {
    return Json(text.get<Uuid>());
  } catch (const std::invalid_argument&) {
    return pickle_opaque("uuid.UUID");
  }
}

void PickleMachine::object_from_mark() {
  const auto items = pop_to_mark();
  push_opaque(!items.empty() && items[0]->kind == Node::Kind::opaque ? items[0]->scalar.get<std::string>()
                                                                     : "object");
}

void PickleMachine::instance() {
  const auto module = line();
  const auto name = line();
  pop_to_mark();
  if (!error_) global(module, name);
}

void PickleMachine::remember(std::uint64_t index) {
  if (stack_.empty() || stack_.back()->kind == Node::Kind::mark) return fail("stack is empty");
  memo_[index] = stack_.back();
}

void PickleMachine::recall(std::uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) return fail("unknown memo");
  stack_.push_back(found->second);
}

std::uint64_t PickleMachine::index_of_line() {
  const auto text = line();
  std::uint64_t index = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), index).ec != std::errc()) fail("bad memo");
  return index;
}

Expected<Json> pickle_load(std::string_view bytes) { return PickleMachine(bytes).run(); }

Json pickle_opaque(std::string_view name) { return make_tag("python", std::string(name)); }

bool is_pickle_opaque(const Json& value) {
  const auto tag = find_tag(value);
  return tag && tag->type == "python";
}

}  // namespace celeriac
