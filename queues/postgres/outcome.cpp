#include "queues/postgres/outcome.hpp"
#include "queues/postgres/libpq.hpp"

#include <charconv>

namespace celeriac::pg {

void FreeResult::operator()(pg_result* result) const noexcept { libpq().PQclear(result); }

int Rows::size() const { return libpq().PQntuples(result_.get()); }
int Rows::columns() const { return libpq().PQnfields(result_.get()); }
bool Rows::is_null(int row, int column) const { return libpq().PQgetisnull(result_.get(), row, column) != 0; }

std::string_view Rows::value(int row, int column) const {
  return {libpq().PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(libpq().PQgetlength(result_.get(), row, column))};
}

std::size_t Rows::affected() const {
  std::string_view tuples = libpq().PQcmdTuples(result_.get());
  std::size_t out = 0;
  std::from_chars(tuples.data(), tuples.data() + tuples.size(), out);
  return out;
}

}  // namespace celeriac::pg
