// A result store whose library waits for a disk or a server. blocking_backend.hpp calls it on one thread of
// its own, so every member here may take its time; no two run at once.
#pragma once

#include "protocol/result.hpp"
#include "queues/result_backend.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace celeriac {

// Why a store cannot be used, whatever it is asked. It is opened again and asked again, unless
// it is `for_good`: what the user wrote can never work.
struct StoreFault {
  std::string what;
  bool for_good = false;
};

template <class T>
using StoreAnswer = tl::expected<T, StoreFault>;

inline tl::unexpected<StoreFault> store_fault(std::string what, bool for_good = false) {
  return tl::unexpected<StoreFault>(StoreFault{std::move(what), for_good});
}

class BlockingStore {
 public:
  virtual ~BlockingStore() = default;

  // Opens or connects, and creates what is missing. Called first, and again after each fault.
  virtual std::optional<StoreFault> open() = 0;

  // One verdict for each result: stored, or why it never can be; one that cannot must not harm the others. A
  // stored SUCCESS gives way to no other state. After a fault all of them are given again.
  virtual StoreAnswer<std::vector<Status>> store(const std::vector<const TaskResult*>& batch) = 0;

  virtual StoreAnswer<Expected<std::optional<Json>>> fetch(const std::string& task_id) = 0;
  virtual StoreAnswer<bool> forget(const std::string& task_id) = 0;

  // Deletes what ended before that moment (Unix seconds), where the store does not do so itself.
  virtual StoreAnswer<std::uint64_t> expire(double before) {
    (void)before;
    return 0;
  }

  // Chords, as in result_backend.hpp.
  virtual bool counts_chords() const { return false; }
  virtual StoreAnswer<Status> set_chord_size(const std::string&, std::int64_t) { return no_chords(); }
  virtual StoreAnswer<Status> grow_chord(const std::string&) { return no_chords(); }
  virtual StoreAnswer<Status> save_group(const std::string&, const Json&) { return no_chords(); }
  virtual StoreAnswer<Expected<std::optional<ChordParts>>> add_chord_part(const ChordPart&) {
    return Expected<std::optional<ChordParts>>(unexpected(no_chords().what));
  }
  virtual StoreAnswer<Status> forget_chord(const std::string&) { return no_chords(); }

 private:
  static Status no_chords() { return {"this result store does not count the parts of chords"}; }
};

}  // namespace celeriac
