// The stack machine that a pickle is a program for. It knows the data opcodes of every protocol; what would
// import, call or build a Python class leaves an opaque node in its place. Used by pickle_load() alone.
#pragma once

#include "protocol/json.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace celeriac {

// The stack machine works on nodes, because a pickle fills a container after it has been memoized.
struct PickleNode {
  enum class Kind : std::uint8_t { scalar, list, dict, opaque, mark } kind = Kind::scalar;
  Json scalar;                     // for opaque: its name
  std::vector<PickleNode*> items;  // for dict: key, value, key, value
};

class PickleMachine {
 public:
  // `bytes` must outlive the machine.
  explicit PickleMachine(std::string_view bytes) : bytes_(bytes) {}

  // Runs the program to its end and writes out what it left. The error names the byte offset.
  Expected<Json> run();

 private:
  using Node = PickleNode;

  void fail(const char* what);

  // input
  std::uint64_t number(std::size_t size);
  std::string_view take(std::uint64_t size);
  std::string_view line();

  // stack
  Node* make(Node::Kind kind);
  void push(Json scalar);
  void push_opaque(std::string name);
  Node* pop();
  std::vector<Node*> pop_to_mark();
  Node* top(Node::Kind wanted);
  void append(const std::vector<Node*>& items);
  void set_items(const std::vector<Node*>& items);
  void push_items(Node::Kind kind, std::vector<Node*> items);
  void push_tuple(std::size_t size);
  void push_text(std::string_view text);
  void push_digits(std::string_view digits);
  void push_long(std::uint64_t size);
  void push_float_text(std::string_view text);

  // Python objects
  void global(std::string_view module, std::string_view name);
  void stack_global();
  // Calling: the result stands for an object of the class. A few builtins of plain data are known by name.
  void call(const Node* arguments, const Node* callable);
  static Json uuid_tag(const Json& text);
  void object_from_mark();
  void instance();

  // memo
  void remember(std::uint64_t index);
  void recall(std::uint64_t index);
  std::uint64_t index_of_line();

  // opcodes (pickle_opcodes.cpp)
  void step();
  bool step_data(unsigned char opcode);
  bool step_object(unsigned char opcode);

  // from nodes to Json, shared references written out (pickle_expand.cpp)
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

}  // namespace celeriac
