// What each opcode does to the stack, by the letters of Python's pickletools.
#include "protocol/pickle_machine.hpp"
#include "protocol/tagged.hpp"

#include <bit>

namespace celeriac {

void PickleMachine::step() {
  if (at_ == bytes_.size()) return fail("cut short");
  const auto opcode = static_cast<unsigned char>(bytes_[at_++]);
  if (!step_data(opcode) && !step_object(opcode)) fail("unknown opcode");
}

bool PickleMachine::step_data(unsigned char opcode) {
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

bool PickleMachine::step_object(unsigned char opcode) {
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

}  // namespace celeriac
