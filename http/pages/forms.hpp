// Forms of pages: what a browser sends, and the proof that it was sent from a page of ours.
//
// Browsers send the password of a page along with every request, also with those that another site makes
// them send. So each form carries a token that only somebody can know who has read one of our pages: a MAC
// under the caller's own key or token. Nothing is kept for it, and every process knows it.
#pragma once

#include "http/exchange.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace celeriac::http {

// application/x-www-form-urlencoded, in the order sent. Nothing when it is malformed or has more than
// 2000 fields.
class FormValues {
 public:
  static std::optional<FormValues> read(std::string_view body);

  const std::string& operator[](std::string_view name) const;  // the first of that name, or ""
  std::vector<std::string> all(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

std::string form_token(std::string_view credential);

// Whether the request comes from a page of ours: its token, and what the browser says of its origin.
// `given` is the token that it brought.
bool from_our_page(const Request& request, std::string_view given);

// A form that posts to `action`; `inside` is HTML. The token is in it.
std::string post_form(const Request& request, std::string_view action, const std::string& inside,
                      std::string_view css_class = "");
// One button, with hidden values.
std::string button_form(const Request& request, std::string_view action,
                        const std::vector<std::pair<std::string, std::string>>& hidden,
                        std::string_view label, std::string_view css_class = "");
std::string hidden_field(std::string_view name, std::string_view value);

}  // namespace celeriac::http
