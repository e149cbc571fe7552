#include "queues/postgres/outcome.hpp"

#include <libpq-fe.h>

#include <charconv>

namespace celeriac::pg {

void FreeResult::operator()(pg_result* result) const noexcept { PQclear(result); }

int Rows::size() const { return PQntuples(result_.get()); }
int Rows::columns() const { return PQnfields(result_.get()); }
bool Rows::is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }

std::string_view Rows::value(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

std::size_t Rows::affected() const {
  std::string_view tuples = PQcmdTuples(result_.get());
  std::size_t out = 0;
  std::from_chars(tuples.data(), tuples.data() + tuples.size(), out);
  return out;
}

}  // namespace celeriac::pg
