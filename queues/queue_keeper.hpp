// What an operator may do with messages that lie in a broker: look at them, move them, hold a
// queue back, and look after dead letters and messages that wait for their time.
//
// Consumers are at work meanwhile, ours and others'. So each change names the messages it means
// by their bytes or id and passes over those that are gone; each is atomic on the server: at any
// time a message is in exactly one place. Positions are hints.
//
// It has a connection of its own, which is made again when it is lost; what was asked meanwhile is asked
// afterwards. One loop; every call answers once.
#pragma once

#include "config/settings.hpp"
#include "queues/broker.hpp"

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace celeriac {

// A message that waits in its queue for a consumer.
struct WaitingMessage {
  std::string queue;
  int step = 0;              // of priority, as in QueueInfo::by_priority
  std::size_t position = 0;  // 0 is the next one to be delivered among those of its step
  std::string bytes;         // exactly as they lie there
};

// A message that is kept from all consumers until its ETA.
struct DelayedMessage {
  std::string id;
  std::string queue;
  double due = 0;  // Unix seconds
  std::string bytes;
  bool movable = true;  // false: a foreign worker has it in its memory and will run it whatever we do
};

struct KeptLetter {
  std::string id;
  std::string queue;
  double time = 0;  // of the burial, Unix seconds
  DeadLetter why;
  std::string bytes;
};

class QueueKeeper {
 public:
  template <class T>
  using Answer = std::function<void(Expected<T>)>;
  using Count = std::uint64_t;

  virtual ~QueueKeeper() = default;

  // Up to `count` messages in the order of delivery, passing over the first `offset`. Consumers and
  // producers shift positions between two calls.
  virtual void waiting(std::string queue, std::size_t offset, std::size_t count,
                       Answer<std::vector<WaitingMessage>> answer) = 0;
  // All of them as they are at one moment, page by page; answers how many there were.
  virtual void snapshot(std::string queue, std::function<void(std::vector<WaitingMessage>&&)> on_page,
                        Answer<Count> answer) = 0;
  // To the end of another queue, in the order given, with the same priority. A message whose envelope
  // can be read names its new queue afterwards. Answers how many were still there.
  virtual void move(std::vector<WaitingMessage> messages, std::string to, Answer<Count> answer) = 0;
  virtual void drop(std::vector<WaitingMessage> messages, Answer<Count> answer) = 0;
  // Exactly these bytes, to the end of the queue, in the order given. `position` is not used.
  virtual void put(std::vector<WaitingMessage> messages, Answer<Count> answer) = 0;

  // Remembered by the broker and honoured by every celeriac worker, those to come included. What a
  // worker has taken already still runs. `note` is shown to those who ask why. Answers whether the
  // state changed.
  virtual void pause(std::string queue, std::string note, Answer<bool> answer) = 0;
  virtual void resume(std::string queue, Answer<bool> answer) = 0;
  virtual void paused(Answer<std::vector<std::pair<std::string, std::string>>> answer) = 0;  // queue, note

  // Oldest first; all queues when `queue` is empty.
  virtual void dead(std::string queue, std::size_t offset, std::size_t count,
                    Answer<std::vector<KeptLetter>> answer) = 0;
  virtual void dead_letter(std::string id, Answer<KeptLetter> answer) = 0;  // an error when there is none
  // Puts the exact bytes back into the queue they came from. With another queue named, as move() does.
  virtual void requeue(std::vector<KeptLetter> letters, std::string to, Answer<Count> answer) = 0;
  virtual void discard(std::vector<std::string> ids, Answer<Count> answer) = 0;

  // All messages with an ETA ahead, in no particular order, page by page.
  virtual void delayed(std::function<void(std::vector<DelayedMessage>&&)> on_page, Answer<Count> answer) = 0;
  // Next in their queue, without their ETA.
  virtual void hasten(std::vector<DelayedMessage> messages, Answer<Count> answer) = 0;
  virtual void cancel(std::vector<DelayedMessage> messages, Answer<Count> answer) = 0;
};

// Of the broker that the settings name, connecting. The Error says which brokers can be looked into.
Expected<std::unique_ptr<QueueKeeper>> make_queue_keeper(boost::asio::io_context& io,
                                                         const Settings& settings);

}  // namespace celeriac
