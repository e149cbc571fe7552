// What became of a transaction: rows, or why not. A statement the server refused and a connection
// that was lost are told apart, because only the second says nothing about whether it was done.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pg_result;

namespace celeriac::pg {

struct FreeResult {
  void operator()(pg_result* result) const noexcept;
};

// The answer to one statement. Views live as long as the Rows.
class Rows {
 public:
  explicit Rows(pg_result* owned) : result_(owned) {}

  int size() const;
  int columns() const;
  bool is_null(int row, int column) const;
  std::string_view value(int row, int column) const;  // empty for NULL
  std::size_t affected() const;                       // rows touched by INSERT, UPDATE, DELETE

 private:
  std::unique_ptr<pg_result, FreeResult> result_;
};

struct Outcome {
  enum class Kind { done, refused, lost };

  Kind kind = Kind::done;
  std::vector<Rows> rows = {};  // one for each statement when done
  std::string sqlstate = {};    // refused: five characters
  std::string what = {};        // refused, lost: one line
  std::size_t statement = 0;    // refused: which one of the transaction

  bool ok() const { return kind == Kind::done; }
};

}  // namespace celeriac::pg
