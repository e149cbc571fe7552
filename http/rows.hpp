// What routes over the invoice database have in common.
#pragma once

#include "http/exchange.hpp"
#include "tasks/store/database.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace celeriac::http {

bool is_uuid(std::string_view text);

// A condition on `column`; $1 is the caller. An administrator sees everybody's.
std::string owned_by(const Caller& caller, const char* column);

// A whole number of a query, within 1 and `most`.
int number(const std::map<std::string, std::string>& query, const char* name, int otherwise, int most);

// JSON text of PostgreSQL's making, passed on as it is, so that amounts keep every digit.
Response as_it_is(std::string body);
// The first row's only column; 404 when there is none. `what` names the thing: "job".
Response one_row(const Rows& rows, const char* what);

}  // namespace celeriac::http
