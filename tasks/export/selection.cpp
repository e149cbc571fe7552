#include "tasks/export/selection.hpp"

#include "tasks/store/slot_database.hpp"
#include "tasks/store/text_values.hpp"
#include "tasks/validation/status.hpp"

#include <algorithm>

namespace celeriac {
namespace {

constexpr std::size_t max_ids = 10000;

struct Fault {
  std::string text;
};

// PostgreSQL's text of an array: every element quoted.
std::string array_literal(const Json& texts) {
  std::string out = "{";
  for (const auto& item : texts) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : item.get<std::string>()) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + '}';
}

class Filters {
 public:
  Selection read(const Json& filters) {
    for (const auto& [key, value] : filters.items()) {
      if (!value.is_null()) add(key, value);
    }
    if (out_.where.empty()) out_.where = "true";
    return std::move(out_);
  }

 private:
  std::string bind(std::string value) {
    out_.values.emplace_back(std::move(value));
    return "$" + std::to_string(out_.values.size());
  }
  void require(std::string condition) {
    out_.where += (out_.where.empty() ? "" : " AND ") + std::move(condition);
  }

  static std::string text(const std::string& key, const Json& value) {
    if (!value.is_string()) throw Fault{"filter " + key + " must hold texts"};
    return value.get<std::string>();
  }

  // A JSON array of texts, each of which `fits`, compared as a whole array.
  template <class Fits>
  void any_of(const std::string& key, const Json& value, const std::string& column, const std::string& type,
              Fits fits) {
    const Json list = value.is_array() ? value : Json::array({value});
    if (list.size() > max_ids)
      throw Fault{"filter " + key + " holds more than " + std::to_string(max_ids) + " values"};
    for (const auto& item : list) {
      if (!fits(text(key, item)))
        throw Fault{"filter " + key + ": '" + clean_text(text(key, item), 100) + "' does not fit"};
    }
    require(column + " = ANY (" + bind(array_literal(list)) + "::" + type + "[])");
  }

  void day(const std::string& key, const Json& value, const std::string& condition) {
    const auto date = date_value(text(key, value));
    if (!date) throw Fault{"filter " + key + " must be a day as in 2024-05-31"};
    require(condition + " " + bind(*date) + "::date");
  }

  void moment(const std::string& key, const Json& value, const std::string& condition) {
    const std::string when = text(key, value);
    if (when.size() < 10 || !date_value(when.substr(0, 10)))
      throw Fault{"filter " + key + " must be an ISO 8601 time"};
    require(condition + " " + bind(when) + "::timestamptz");
  }

  void truth(const std::string& key, const Json& value, const std::string& condition) {
    if (!value.is_boolean()) throw Fault{"filter " + key + " must be true or false"};
    require((value.get<bool>() ? "" : "NOT ") + condition);
  }

  void add(const std::string& key, const Json& value) {
    const auto word = [](const std::string& item) { return !item.empty() && item.size() <= 50; };
    if (key == "invoice_ids") return any_of(key, value, "i.id", "uuid", &is_uuid);
    if (key == "vendor_ids") return any_of(key, value, "i.vendor_id", "uuid", &is_uuid);
    if (key == "user_id") return any_of(key, value, "i.uploaded_by_user_id", "uuid", &is_uuid);
    if (key == "status")
      return any_of(key, value, "i.status", "invoicestatus",
                    [](const std::string& label) { return parse_invoice_status(label).has_value(); });
    if (key == "payment_status") return any_of(key, value, "i.payment_status", "text", word);
    if (key == "currency") return any_of(key, value, "i.currency", "text", word);
    if (key == "date_from") return day(key, value, "i.invoice_date >=");
    if (key == "date_to") return day(key, value, "i.invoice_date <=");
    if (key == "created_from") return moment(key, value, "i.created_at >=");
    if (key == "created_to") return moment(key, value, "i.created_at <");
    if (key == "requires_review") return truth(key, value, "i.requires_review");
    if (key == "has_exceptions")
      return truth(key, value,
                   "EXISTS (SELECT FROM exceptions e WHERE e.invoice_id = i.id"
                   " AND e.status IN ('OPEN', 'IN_PROGRESS', 'ESCALATED'))");
    throw Fault{"there is no filter '" + clean_text(key, 100) + "'"};
  }

  Selection out_;
};

// A column's expression; a format is bound.
std::string expression(const ExportColumn& column, std::vector<SqlValue>& values) {
  const std::string field(column.field->sql);
  if (column.transform == "uppercase") return "upper((" + field + ")::text)";
  if (column.transform == "lowercase") return "lower((" + field + ")::text)";
  if (column.transform == "title_case") return "initcap((" + field + ")::text)";
  if (column.transform == "currency_format") return "concat_ws(' ', i.currency, round(" + field + ", 2))";
  if (column.transform == "percentage") return "round(" + field + " * 100, 2) || ' %'";
  if (column.transform == "date_format") {
    values.emplace_back(column.format);
    return "to_char(" + field + ", $" + std::to_string(values.size()) + ")";
  }
  return field;
}

}  // namespace

Expected<Selection> read_selection(const Json& filters) {
  if (!filters.is_object()) return unexpected("filters must be an object");
  try {
    return Filters().read(filters);
  } catch (const Fault& fault) {
    return unexpected(fault.text);
  }
}

InvoicePages::InvoicePages(Database& database, const ExportTemplate& layout, Selection selection,
                           int page_size)
    : database_(database),
      selection_(std::move(selection)),
      values_(selection_.values),
      page_size_(page_size) {
  until_ = database_.run("SELECT clock_timestamp()").str(0, 0);
  std::string columns;
  for (const auto& column : layout.columns) columns += expression(column, values_) + ", ";
  const auto place = [&](int offset) {
    return "$" + std::to_string(values_.size() + static_cast<std::size_t>(offset));
  };
  const std::string page = "SELECT * FROM invoices i WHERE " + selection_.where +
                           " AND (i.created_at, i.id) > (" + place(1) + "::timestamptz, " + place(2) +
                           "::uuid) AND i.created_at <= " + place(3) +
                           "::timestamptz ORDER BY i.created_at, i.id LIMIT " + place(4);
  // OFFSET 0 keeps the lines' look-up by index: joined freely, a page may read all lines there are.
  sql_ = "SELECT " + columns + "i.created_at, i.id FROM (" + page + ") i" +
         (layout.of_lines ? " LEFT JOIN LATERAL (SELECT * FROM invoice_line_items n WHERE n.invoice_id = "
                            "i.id OFFSET 0) l ON true ORDER BY i.created_at, "
                            "i.id, l.line_number"
                          : " ORDER BY i.created_at, i.id");
}

std::int64_t InvoicePages::count() {
  auto values = selection_.values;
  values.emplace_back(until_);
  return std::stoll(database_
                        .run("SELECT count(*) FROM invoices i WHERE " + selection_.where +
                                 " AND i.created_at <= $" + std::to_string(values.size()) + "::timestamptz",
                             values)
                        .str(0, 0));
}

Rows InvoicePages::next() {
  auto values = values_;
  values.insert(values.end(), {after_created_, after_id_, until_, std::to_string(page_size_)});
  Rows rows = database_.run(sql_, values);
  if (!rows.empty()) {
    const int last = rows.size() - 1, columns = rows.columns();
    after_created_ = rows.str(last, columns - 2);
    after_id_ = rows.str(last, columns - 1);
  }
  return rows;
}

}  // namespace celeriac
