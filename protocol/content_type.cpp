#include "protocol/content_type.hpp"

namespace celeriac {
namespace {

struct SerializerName {
  Serializer serializer;
  std::string_view name, type, encoding;
};
constexpr SerializerName serializers[] = {
    {Serializer::json, "json", "application/json", "utf-8"},
    {Serializer::yaml, "yaml", "application/x-yaml", "utf-8"},
    {Serializer::msgpack, "msgpack", "application/x-msgpack", "binary"},
};

const SerializerName* find(std::string_view name_or_type) {
  for (const auto& entry : serializers) {
    if (entry.type == name_or_type || entry.name == name_or_type) return &entry;
  }
  return nullptr;
}

const SerializerName& entry(Serializer serializer) {
  return serializers[static_cast<std::size_t>(serializer)];
}

}  // namespace

std::string_view content_type(Serializer serializer) { return entry(serializer).type; }

std::string_view content_encoding(Serializer serializer) { return entry(serializer).encoding; }

Expected<Serializer> find_serializer(std::string_view name_or_type) {
  if (const auto* found = find(name_or_type)) return found->serializer;
  return unexpected("unknown serializer '" + std::string(name_or_type) + "'");
}

Expected<Serializer> accepted_serializer(std::string_view type, const std::vector<std::string>& accept) {
  if (type == "application/x-python-serialize" || type == "pickle") {
    return unexpected(
        "content type application/x-python-serialize (pickle) can run code and is never accepted");
  }
  if (type == "application/data" || type == "text/plain") {
    return unexpected("content type " + std::string(type) + " is raw data and holds no arguments");
  }
  const SerializerName* found = find(type);
  if (!found) return unexpected("content type '" + std::string(type.substr(0, 100)) + "' is unknown");
  for (const auto& name : accept) {
    if (name == found->type || name == found->name) return found->serializer;
  }
  return unexpected("content type " + std::string(found->type) + " is not in accept_content");
}

}  // namespace celeriac
