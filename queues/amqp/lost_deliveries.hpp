// Deliveries whose channel has gone while we still worked on them. The server puts their messages back and
// delivers them again, to us or to another worker. What was decided here meanwhile (done: acknowledge) is
// applied when a message comes back to us, so that no task runs twice. Messages are recognised by their
// content, for the server numbers them anew. Pure.
#pragma once

#include "queues/broker.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

namespace celeriac::amqp {

struct Verdict {
  enum class What : std::uint8_t { ack, discard, bury };
  What what = What::ack;
  DeadLetter why;  // of bury
};

class LostDeliveries {
 public:
  // Beyond `most` the oldest are forgotten; such a message runs again.
  explicit LostDeliveries(std::size_t most = 65536) : most_(most) {}

  // `verdict` is empty while the worker still has it.
  void add(Tag tag, const Message& message, std::optional<Verdict> verdict);
  // The worker has decided. False: it was not lost, or its message came back already.
  bool decide(Tag tag, Verdict verdict);
  void forget(Tag tag);
  // A message that may have come back: whether it is one of these, which is then forgotten here, and what was
  // decided about it. Without a verdict the worker has to have it.
  struct Return {
    bool known = false;
    std::optional<Verdict> verdict;
  };
  Return returned(const Message& message);

  std::size_t decided() const { return decided_; }  // waiting for their message
  std::size_t size() const { return entries_.size(); }
  void forget_decided();  // their messages went to somebody else

 private:
  struct Key {
    std::size_t head, body;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const { return key.head ^ (key.body << 1); }
  };
  struct Entry {
    Key key;
    std::optional<Verdict> verdict;
  };
  static Key key_of(const Message& message);
  void erase(Tag tag);

  std::size_t most_;
  std::size_t decided_ = 0;
  std::unordered_map<Tag, Entry> entries_;
  std::unordered_multimap<Key, Tag, Hash> by_content_;
  std::deque<Tag> order_;
};

}  // namespace celeriac::amqp
