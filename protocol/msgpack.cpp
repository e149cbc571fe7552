// msgpack, as Python's msgpack package writes and reads it with use_bin_type and raw=False.
#include "protocol/json_object.hpp"
#include "protocol/serializer.hpp"
#include "protocol/tagged.hpp"
#include "protocol/utf8.hpp"

#include <bit>
#include <type_traits>

namespace celeriac {
namespace {

constexpr std::size_t max_depth = 512;

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  Expected<Json> read() {
    Json value;
    if (read_value(value, 0) && at_ != bytes_.size()) fail("more bytes behind the value");
    if (error_) return unexpected("msgpack: byte " + std::to_string(at_) + ": " + error_);
    return value;
  }

 private:
  bool fail(const char* what) {
    if (!error_) error_ = what;
    return false;
  }

  template <class Unsigned>
  bool number(Unsigned& out) {
    if (bytes_.size() - at_ < sizeof out) return fail("cut short");
    out = 0;
    for (std::size_t i = 0; i < sizeof out; ++i) {
      out = static_cast<Unsigned>(static_cast<std::uint64_t>(out) << 8 |
                                  static_cast<unsigned char>(bytes_[at_++]));
    }
    return true;
  }

  template <class Unsigned>
  bool integer(Json& value) {
    Unsigned bits = 0;
    if (!number(bits)) return false;
    value = static_cast<std::uint64_t>(bits);
    return true;
  }

  template <class Unsigned>
  bool negative(Json& value) {
    Unsigned bits = 0;
    if (!number(bits)) return false;
    value = static_cast<std::int64_t>(static_cast<std::make_signed_t<Unsigned>>(bits));
    return true;
  }

  // Length fields count at most what is left: nothing is allocated on their word alone.
  template <class Unsigned>
  bool length(std::size_t& out) {
    Unsigned size = 0;
    if (!number(size)) return false;
    out = size;
    return out <= bytes_.size() - at_ || fail("cut short");
  }

  bool take(std::size_t size, std::string_view& out) {
    if (size > bytes_.size() - at_) return fail("cut short");
    out = bytes_.substr(at_, size);
    at_ += size;
    return true;
  }

  bool text(std::size_t size, Json& value) {
    std::string_view taken;
    if (!take(size, taken)) return false;
    if (!is_utf8(taken)) return fail("invalid UTF-8");
    value = std::string(taken);
    return true;
  }

  bool binary(std::size_t size, Json& value) {
    std::string_view taken;
    if (!take(size, taken)) return false;
    value = tagged_bytes(taken);
    return true;
  }

  bool array(std::size_t size, Json& value, std::size_t depth) {
    if (depth == max_depth) return fail("nested too deeply");
    if (size > bytes_.size() - at_) return fail("cut short");
    value = Json::array();
    auto& elements = value.get_ref<Json::array_t&>();
    for (; size != 0; --size) {
      elements.emplace_back();
      if (!read_value(elements.back(), depth + 1)) return false;
    }
    return true;
  }

  bool map(std::size_t size, Json& value, std::size_t depth) {
    if (depth == max_depth) return fail("nested too deeply");
    if (size > (bytes_.size() - at_) / 2) return fail("cut short");
    value = Json::object();
    Members members;
    for (; size != 0; --size) {
      Json key;
      if (!read_value(key, max_depth)) return false;
      if (!key.is_string()) return fail("a key is no string");
      members.emplace_back(std::move(key.get_ref<std::string&>()), Json());
      if (!read_value(members.back().second, depth + 1)) return false;
    }
    value = take_object(members);
    return true;
  }

  bool read_value(Json& value, std::size_t depth) {
    std::uint8_t kind = 0;
    std::size_t size = 0;
    if (!number(kind)) return false;
    if (kind < 0x80) {
      value = std::uint64_t{kind};
      return true;
    }
    if (kind < 0x90) return map(kind & 15u, value, depth);
    if (kind < 0xA0) return array(kind & 15u, value, depth);
    if (kind < 0xC0) return text(kind & 31u, value);
    if (kind >= 0xE0) {
      value = std::int64_t{static_cast<std::int8_t>(kind)};
      return true;
    }
    switch (kind) {
      case 0xC0:
        value = nullptr;
        return true;
      case 0xC2:
        value = false;
        return true;
      case 0xC3:
        value = true;
        return true;
      case 0xC4:
        return length<std::uint8_t>(size) && binary(size, value);
      case 0xC5:
        return length<std::uint16_t>(size) && binary(size, value);
      case 0xC6:
        return length<std::uint32_t>(size) && binary(size, value);
      case 0xCA: {
        std::uint32_t bits = 0;
        if (!number(bits)) return false;
        value = static_cast<double>(std::bit_cast<float>(bits));
        return true;
      }
      case 0xCB: {
        std::uint64_t bits = 0;
        if (!number(bits)) return false;
        value = std::bit_cast<double>(bits);
        return true;
      }
      case 0xCC:
        return integer<std::uint8_t>(value);
      case 0xCD:
        return integer<std::uint16_t>(value);
      case 0xCE:
        return integer<std::uint32_t>(value);
      case 0xCF:
        return integer<std::uint64_t>(value);
      case 0xD0:
        return negative<std::uint8_t>(value);
      case 0xD1:
        return negative<std::uint16_t>(value);
      case 0xD2:
        return negative<std::uint32_t>(value);
      case 0xD3:
        return negative<std::uint64_t>(value);
      case 0xD9:
        return length<std::uint8_t>(size) && text(size, value);
      case 0xDA:
        return length<std::uint16_t>(size) && text(size, value);
      case 0xDB:
        return length<std::uint32_t>(size) && text(size, value);
      case 0xDC:
        return length<std::uint16_t>(size) && array(size, value, depth);
      case 0xDD:
        return length<std::uint32_t>(size) && array(size, value, depth);
      case 0xDE:
        return length<std::uint16_t>(size) && map(size, value, depth);
      case 0xDF:
        return length<std::uint32_t>(size) && map(size, value, depth);
      default:
        return fail("an extension type or an unknown byte");
    }
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  const char* error_ = nullptr;
};

class Writer {
 public:
  bool value(const Json& json) {
    using Type = Json::value_t;
    switch (json.type()) {
      case Type::null:
      case Type::discarded:
        byte(0xC0);
        return true;
      case Type::boolean:
        byte(json.get<bool>() ? 0xC3 : 0xC2);
        return true;
      case Type::number_integer:
        integer(json.get<std::int64_t>());
        return true;
      case Type::number_unsigned:
        whole(json.get<std::uint64_t>());
        return true;
      case Type::number_float:
        byte(0xCB);
        number(std::bit_cast<std::uint64_t>(json.get<double>()));
        return true;
      case Type::string:
        text(json.get_ref<const std::string&>());
        return true;
      case Type::binary:
        return false;
      case Type::array:
        head(json.size(), 0x90, 16, 0, 0xDC, 0xDD);
        for (const auto& element : json) {
          if (!value(element)) return false;
        }
        return true;
      case Type::object:
        return object(json);
    }
    return false;
  }

  std::string take() { return std::move(out_); }

 private:
  bool object(const Json& json) {
    if (const auto tag = find_tag(json)) {
      if (const auto bytes = bytes_of_tag(*tag)) {
        head(bytes->size(), 0, 0, 0xC4, 0xC5, 0xC6);
        out_ += *bytes;
        return true;
      }
    }
    head(json.size(), 0x80, 16, 0, 0xDE, 0xDF);
    for (const auto& [key, member] : json.get_ref<const Json::object_t&>()) {
      text(key);
      if (!value(member)) return false;
    }
    return true;
  }

  void text(const std::string& s) {
    head(s.size(), 0xA0, 32, 0xD9, 0xDA, 0xDB);
    out_ += s;
  }

  void integer(std::int64_t n) {
    if (n >= 0) return whole(static_cast<std::uint64_t>(n));
    const auto bits = static_cast<std::uint64_t>(n);
    if (n >= -32) {
      byte(static_cast<unsigned>(bits & 0xFF));
    } else if (n >= INT8_MIN) {
      byte(0xD0), number(static_cast<std::uint8_t>(bits));
    } else if (n >= INT16_MIN) {
      byte(0xD1), number(static_cast<std::uint16_t>(bits));
    } else if (n >= INT32_MIN) {
      byte(0xD2), number(static_cast<std::uint32_t>(bits));
    } else {
      byte(0xD3), number(bits);
    }
  }

  void whole(std::uint64_t n) {
    if (n < 0x80) {
      byte(static_cast<unsigned>(n));
    } else if (n <= UINT8_MAX) {
      byte(0xCC), number(static_cast<std::uint8_t>(n));
    } else if (n <= UINT16_MAX) {
      byte(0xCD), number(static_cast<std::uint16_t>(n));
    } else if (n <= UINT32_MAX) {
      byte(0xCE), number(static_cast<std::uint32_t>(n));
    } else {
      byte(0xCF), number(n);
    }
  }

  // A length: within the first byte below `small`, else behind the marker for 8, 16 or 32 bits (0: has none).
  void head(std::size_t size, unsigned fix, std::size_t small, unsigned m8, unsigned m16, unsigned m32) {
    if (size < small) {
      byte(fix | static_cast<unsigned>(size));
    } else if (m8 != 0 && size <= UINT8_MAX) {
      byte(m8), number(static_cast<std::uint8_t>(size));
    } else if (size <= UINT16_MAX) {
      byte(m16), number(static_cast<std::uint16_t>(size));
    } else {
      byte(m32), number(static_cast<std::uint32_t>(size));
    }
  }

  void byte(unsigned b) { out_.push_back(static_cast<char>(b)); }

  template <class Unsigned>
  void number(Unsigned n) {
    for (int shift = (static_cast<int>(sizeof n) - 1) * 8; shift >= 0; shift -= 8) {
      byte(static_cast<unsigned>(static_cast<std::uint64_t>(n) >> shift & 0xFF));
    }
  }

  std::string out_;
};

}  // namespace

Expected<Json> parse_msgpack(std::string_view bytes) { return Reader(bytes).read(); }

Expected<std::string> dump_msgpack(const Json& value) {
  Writer writer;
  if (!writer.value(value)) return unexpected("msgpack: an integer beyond 64 bits");
  return writer.take();
}

}  // namespace celeriac
