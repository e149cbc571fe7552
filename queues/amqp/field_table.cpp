#include "queues/amqp/field_table.hpp"

#include "protocol/utf8.hpp"

#include <cmath>
#include <limits>

namespace celeriac::amqp {
namespace {

constexpr int max_depth = 64;         // Celery's headers nest three deep; stamps of users perhaps ten
constexpr std::size_t max_key = 255;  // an AMQP short string

bool append_text(std::string_view text, std::string& out, std::string& problem) {
  if (!is_utf8(text)) {
    problem = "a text is not UTF-8";
    return false;
  }
  dump_json_string(text, out);
  return true;
}

bool append_table(const amqp_table_t& table, std::string& out, std::string& problem, int depth);

bool append_value(const amqp_field_value_t& field, std::string& out, std::string& problem, int depth) {
  switch (field.kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
      out += field.value.boolean ? "true" : "false";
      return true;
    case AMQP_FIELD_KIND_I8:
      out += std::to_string(field.value.i8);
      return true;
    case AMQP_FIELD_KIND_U8:
      out += std::to_string(field.value.u8);
      return true;
    case AMQP_FIELD_KIND_I16:
      out += std::to_string(field.value.i16);
      return true;
    case AMQP_FIELD_KIND_U16:
      out += std::to_string(field.value.u16);
      return true;
    case AMQP_FIELD_KIND_I32:
      out += std::to_string(field.value.i32);
      return true;
    case AMQP_FIELD_KIND_U32:
      out += std::to_string(field.value.u32);
      return true;
    case AMQP_FIELD_KIND_I64:
    case AMQP_FIELD_KIND_U64:  // py-amqp's letter for signed 64-bit numbers
    case AMQP_FIELD_KIND_TIMESTAMP:
      out += std::to_string(field.value.i64);
      return true;
    case AMQP_FIELD_KIND_F32:
      out += python_float(static_cast<double>(field.value.f32));
      return true;
    case AMQP_FIELD_KIND_F64:
      out += python_float(field.value.f64);
      return true;
    case AMQP_FIELD_KIND_DECIMAL:
      out += python_float(static_cast<double>(field.value.decimal.value) /
                          std::pow(10.0, field.value.decimal.decimals));
      return true;
    case AMQP_FIELD_KIND_VOID:
      out += "null";
      return true;
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
      return append_text(view(field.value.bytes), out, problem);
    case AMQP_FIELD_KIND_TABLE:
      return append_table(field.value.table, out, problem, depth);
    case AMQP_FIELD_KIND_ARRAY:
      out += '[';
      for (int i = 0; i < field.value.array.num_entries; ++i) {
        if (i > 0) out += ", ";
        if (!append_value(field.value.array.entries[i], out, problem, depth + 1)) return false;
      }
      out += ']';
      return true;
    default:
      problem = "a field is of the unknown type " + std::to_string(field.kind);
      return false;
  }
}

bool append_table(const amqp_table_t& table, std::string& out, std::string& problem, int depth) {
  if (depth > max_depth) {
    problem = "nested too deeply";
    return false;
  }
  out += '{';
  for (int i = 0; i < table.num_entries; ++i) {
    if (i > 0) out += ", ";
    if (!append_text(view(table.entries[i].key), out, problem)) return false;
    out += ": ";
    if (!append_value(table.entries[i].value, out, problem, depth + 1)) return false;
  }
  out += '}';
  return true;
}

}  // namespace

bool append_json(const amqp_table_t& table, std::string& out, std::string& problem) {
  return append_table(table, out, problem, 0);
}

Expected<void> FieldTable::assign(const Json& object) {
  entries_.clear();
  values_.clear();
  texts_.clear();
  table_ = {0, nullptr};
  if (!object.is_object()) return unexpected("an AMQP table must come from a JSON object");
  auto made = make_table(object, 0);
  if (!made) return tl::unexpected(made.error());
  table_ = *made;
  return {};
}

amqp_bytes_t FieldTable::keep(std::string text) {
  texts_.push_back(std::move(text));
  return bytes(texts_.back());
}

Expected<amqp_table_t> FieldTable::make_table(const Json& object, int depth) {
  if (depth > max_depth) return unexpected("headers are nested too deeply");
  std::vector<amqp_table_entry_t> entries;
  entries.reserve(object.size());
  for (const auto& [key, value] : object.items()) {
    if (key.size() > max_key)
      return unexpected("header '" + key.substr(0, 40) + "...': a name may have 255 bytes");
    auto made = make_value(value, depth);
    if (!made) return tl::unexpected(made.error());
    entries.push_back({keep(key), *made});
  }
  entries_.push_back(std::move(entries));
  return amqp_table_t{static_cast<int>(entries_.back().size()), entries_.back().data()};
}

Expected<amqp_field_value_t> FieldTable::make_value(const Json& value, int depth) {
  amqp_field_value_t field{};
  if (value.is_string()) {
    field.kind = AMQP_FIELD_KIND_UTF8;
    field.value.bytes = keep(value.get<std::string>());
  } else if (value.is_boolean()) {
    field.kind = AMQP_FIELD_KIND_BOOLEAN;
    field.value.boolean = value.get<bool>();
  } else if (value.is_number_float()) {
    field.kind = AMQP_FIELD_KIND_F64;
    field.value.f64 = value.get<double>();
  } else if (value.is_number_unsigned() &&
             value.get<std::uint64_t>() >
                 static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    field.kind = AMQP_FIELD_KIND_UTF8;  // no field type holds it
    field.value.bytes = keep(std::to_string(value.get<std::uint64_t>()));
  } else if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number >= std::numeric_limits<std::int32_t>::min() &&
        number <= std::numeric_limits<std::int32_t>::max()) {
      field.kind = AMQP_FIELD_KIND_I32;
      field.value.i32 = static_cast<std::int32_t>(number);
    } else {
      field.kind = AMQP_FIELD_KIND_I64;
      field.value.i64 = number;
    }
  } else if (is_big_integer(value)) {
    field.kind = AMQP_FIELD_KIND_UTF8;
    field.value.bytes = keep(big_integer_digits(value));
  } else if (value.is_object()) {
    auto made = make_table(value, depth + 1);
    if (!made) return tl::unexpected(made.error());
    field.kind = AMQP_FIELD_KIND_TABLE;
    field.value.table = *made;
  } else if (value.is_array()) {
    if (depth > max_depth) return unexpected("headers are nested too deeply");
    std::vector<amqp_field_value_t> items;
    items.reserve(value.size());
    for (const auto& item : value) {
      auto made = make_value(item, depth + 1);
      if (!made) return tl::unexpected(made.error());
      items.push_back(*made);
    }
    values_.push_back(std::move(items));
    field.kind = AMQP_FIELD_KIND_ARRAY;
    field.value.array = {static_cast<int>(values_.back().size()), values_.back().data()};
  } else {
    field.kind = AMQP_FIELD_KIND_VOID;
  }
  return field;
}

}  // namespace celeriac::amqp
