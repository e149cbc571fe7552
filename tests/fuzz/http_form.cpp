// What a browser or any other client sends: forms, queries, paths, the headers that we read ourselves, and
// what is to be sent as a task.
#include "check.hpp"
#include "http/exchange.hpp"
#include "http/pages/forms.hpp"
#include "http/read_submission.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

using namespace celeriac;
using namespace celeriac::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto form = FormValues::read(text)) {
    Request request;
    request.query = text;
    const auto values = request.query_values();
    if (const auto found = values.find("a"); found != values.end())
      must(found->second == (*form)["a"], "a query is read as a form is");
  }
  if (const auto path = percent_decoded(text)) must(path->find('\0') == path->npos, "a path has no NUL");
  const double wait = wanted_wait(text);
  must(wait >= 0 && wait <= 60, "waits are bounded");
  if (const auto key = idempotency_key(text)) must(!key->empty() && key->size() <= 128, "keys are bounded");
  if (const auto body = parse_json(text, {65536, 64})) {
    Faults faults;
    const auto submission = read_submission(*body, {"t", "q", {"a"}}, {"hooks.example"}, faults);
    if (!faults.list.empty()) return 0;
    must(submission.args.is_array() && submission.kwargs.is_object(), "arguments are what they have to be");
    must(submission.unique_for >= 0 && submission.unique_for <= 30 * 86400, "uniqueness ends");
  }
  return 0;
}
