#include "protocol/serializer.hpp"

namespace celeriac {

Expected<Json> deserialize(Serializer serializer, std::string_view bytes) {
  switch (serializer) {
    case Serializer::json:
      return parse_json(bytes);
    case Serializer::yaml:
      return parse_yaml(bytes);
    case Serializer::msgpack:
      return parse_msgpack(bytes);
  }
  return unexpected("unknown serializer");
}

Expected<std::string> serialize(Serializer serializer, const Json& value) {
  switch (serializer) {
    case Serializer::json:
      return dump_json(value);
    case Serializer::yaml:
      return dump_yaml(value);
    case Serializer::msgpack:
      return dump_msgpack(value);
  }
  return unexpected("unknown serializer");
}

}  // namespace celeriac
