// Pages as text: what is put into them is escaped here.
#pragma once

#include "http/exchange.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace celeriac::http {

// Fit for text and for quoted attributes.
std::string escaped(std::string_view text);
std::string url_encoded(std::string_view text);

class HtmlTable {
 public:
  // `numeric`: columns aligned to the right, by index.
  HtmlTable(std::string caption, std::vector<std::string> head, std::vector<std::size_t> numeric = {});
  // Cells are HTML already: pass what comes from outside through escaped().
  void row(const std::vector<std::string>& cells);
  // `none` is said when there are no rows.
  std::string text(std::string_view none) const;

 private:
  std::string caption_;
  std::vector<std::string> head_;
  std::vector<std::size_t> numeric_;
  std::string rows_;
};

// A whole page; `path` marks the place in the navigation. `body` is HTML.
Response html_page(std::string_view title, std::string_view path, const std::string& body);

extern const char* const dashboard_style;   // CSS
extern const char* const dashboard_script;  // renews <main> while the page is looked at; nothing needs it

}  // namespace celeriac::http
