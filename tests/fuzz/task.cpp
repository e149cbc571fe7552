// Headers up to the first line break, the body behind it.
#include "check.hpp"
#include "protocol/body.hpp"
#include "protocol/json_scanner.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace celeriac;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> accept = {"json", "yaml", "msgpack"};
  const auto line = std::min(text.find('\n'), text.size());
  Message message;
  message.headers = text.substr(0, line);
  message.body = text.substr(std::min(line + 1, text.size()));
  const auto task = read_task(message, accept);
  if (!task) {
    must(!task.error().cause.empty(), "a refusal has a cause");
    return 0;
  }
  must(!task->id.empty() && !task->task.empty(), "a task has an id and a name");
  const auto headers = write_headers(*task);
  must(parse_json(headers).has_value(), "headers are written as JSON");
  const auto body = read_body(message, *task, accept);
  if (!body) {
    must(!body.error().cause.empty(), "a refusal has a cause");
    return 0;
  }
  must(body->args.is_array() && body->kwargs.is_object(), "a body has its shape");
  if (const auto embed = body->embed.json()) must(embed->size() >= 4, "what follows has four parts");
  if (const auto steps = body->embed.next_step()) {
    for (const std::string_view text : {steps->next, std::string_view(steps->later)}) {
      JsonScanner in(text);
      must(in.skip_value() && in.finish(), "the steps of a chain are JSON each");
    }
  }
  Message again;
  again.headers = headers;
  again.body = write_body(*body);
  TaskHeaders plain;
  must(read_body(again, plain, accept).has_value(), "a written body can be read");
  return 0;
}
