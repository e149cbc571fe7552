// Compositions of tasks, for task authors: what to run, after what, with whose results.
//
//   context.apply(chain({Signature("add", {1, 2}), Signature("mul", {10})}));
//   context.apply(chord({Signature("ocr", {"a.pdf"}), Signature("ocr", {"b.pdf"})}, Signature("merge")));
//   Signature("add", {1, 2}).link(Signature("store")).on_error(Signature("alarm"))
//
// The result of the task before becomes the first argument, unless immutable(). Any Celery worker runs them.
#pragma once

#include "protocol/json.hpp"

#include <string>
#include <vector>

namespace celeriac {

class Signature {
 public:
  explicit Signature(std::string task, std::vector<Json> args = {}, Json kwargs = Json::object());
  // One that came as an argument. Throws BadArguments when it is none.
  static Signature read(Json signature);

  Signature& link(const Signature& callback);     // sent with the result after a success
  Signature& on_error(const Signature& errback);  // sent with the failed task's id
  Signature& immutable();                         // takes no result as its argument
  Signature& set(const std::string& option,
                 Json value);                  // apply_async's options: queue, countdown, priority...
  Signature& prepend(std::vector<Json> args);  // in front of its arguments

  const Json& json() const { return json_; }

 private:
  friend Signature chain(std::vector<Signature> steps);
  friend Signature group(std::vector<Signature> members);
  friend Signature chord(std::vector<Signature> header, Signature body);
  Signature() = default;

  Json json_;
};

Signature chain(std::vector<Signature> steps);
Signature group(std::vector<Signature> members);
// All of the header, then the body with the list of their results.
Signature chord(std::vector<Signature> header, Signature body);

}  // namespace celeriac
