#include "worker/canvas/canvas.hpp"

#include "worker/canvas/signature.hpp"
#include "worker/errors.hpp"

#include <utility>

namespace celeriac {
namespace {

Json list_of(std::vector<Signature>&& signatures) {
  Json list = Json::array();
  for (Signature& signature : signatures) list.push_back(signature.json());
  return list;
}

Json array_of(std::vector<Json>&& values) {
  Json list = Json::array();
  for (Json& value : values) list.push_back(std::move(value));
  return list;
}

}  // namespace

Signature::Signature(std::string task, std::vector<Json> args, Json kwargs)
    : json_(canvas::make_task(task, array_of(std::move(args)), std::move(kwargs))) {}

Signature Signature::read(Json signature) {
  if (auto ok = canvas::check_signature(signature); !ok) throw BadArguments(ok.error().what);
  Signature out;
  out.json_ = std::move(signature);
  return out;
}

Signature& Signature::link(const Signature& callback) {
  canvas::link(json_, callback.json_);
  return *this;
}

Signature& Signature::on_error(const Signature& errback) {
  canvas::link_error(json_, errback.json_);
  return *this;
}

Signature& Signature::immutable() {
  json_["immutable"] = true;
  return *this;
}

Signature& Signature::set(const std::string& option, Json value) {
  json_["options"][option] = std::move(value);
  return *this;
}

Signature& Signature::prepend(std::vector<Json> args) {
  canvas::merge(json_, array_of(std::move(args)), Json::object(), Json::object());
  return *this;
}

Signature chain(std::vector<Signature> steps) {
  Signature out;
  out.json_ = canvas::make_chain(list_of(std::move(steps)));
  return out;
}

Signature group(std::vector<Signature> members) {
  Signature out;
  out.json_ = canvas::make_group(list_of(std::move(members)));
  return out;
}

Signature chord(std::vector<Signature> header, Signature body) {
  Signature out;
  out.json_ = canvas::make_chord(list_of(std::move(header)), std::move(body.json_));
  return out;
}

}  // namespace celeriac
