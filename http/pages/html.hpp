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

struct Page {
  std::string title;
  std::string place;   // path of the entry in the navigation that it belongs to
  std::string body;    // HTML
  bool still = false;  // is not renewed while it is looked at: it asks something
  int again = 0;       // seconds after which it is loaded anew where there is no JavaScript; 0: never
};
Response html_page(const Page& page);
// To another page, after a form has done its work.
Response see_other(std::string path);

// HTML of values that many pages show.
std::string time_html(double unix_seconds);  // "never" for 0
std::string state_html(const std::string& state);
std::string warning_html(std::string_view text);
std::string notice_html(std::string_view text);
std::string task_link(const std::string& task_id);
std::string queue_link(const std::string& queue);
std::string duration_text(double seconds);  // "850 ms", "1.2 s", "3 min 5 s", "2 h 3 min", "4 d 1 h"

extern const char* const dashboard_style;   // dashboard.css
extern const char* const dashboard_script;  // dashboard.js

}  // namespace celeriac::http
