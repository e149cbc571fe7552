// Messages in files: one JSON object to a line, the exact bytes in base64 beside what a person wants
// to read. import puts back what export wrote, byte for byte.
#include "cli/export_command.hpp"

#include "cli/command_line.hpp"
#include "cli/import_command.hpp"
#include "cli/keeper_session.hpp"
#include "protocol/base64.hpp"

#include <fstream>
#include <iostream>
#include <ostream>

namespace celeriac {
namespace {

constexpr std::size_t batch = 64;                 // messages imported in one request
constexpr std::size_t longest_line = 768u << 20;  // Redis's largest value, in base64

std::string line_of(const WaitingMessage& message) {
  const auto facts = message_facts(message.bytes);
  Json out = Json::object();
  out["queue"] = message.queue;
  out["step"] = message.step;
  out["task"] = facts.task;
  out["id"] = facts.id;
  out["message"] = base64_encode(message.bytes);
  return dump_json(out);
}

Expected<WaitingMessage> read_line(const std::string& line, const std::string& queue) {
  auto parsed = parse_json(line, {longest_line, 16});
  if (!parsed) return tl::unexpected(parsed.error());
  const auto text = [&](const char* name) -> const std::string* {
    const auto found = parsed->is_object() ? parsed->find(name) : parsed->end();
    return parsed->is_object() && found != parsed->end() && found->is_string()
               ? found->get_ptr<const std::string*>()
               : nullptr;
  };
  const auto *bytes = text("message"), *from = text("queue");
  if (!bytes) return unexpected("no \"message\"");
  if (!from && queue.empty()) return unexpected("no \"queue\"");
  auto decoded = base64_decode(*bytes);
  if (!decoded) return unexpected("\"message\": " + decoded.error().what);
  WaitingMessage message;
  message.queue = queue.empty() ? *from : queue;
  message.bytes = std::move(*decoded);
  const auto step = parsed->find("step");
  if (step != parsed->end()) {
    if (!step->is_number_integer() || step->get<std::int64_t>() < 0 || step->get<std::int64_t>() > 255)
      return unexpected("\"step\" must be a number from 0 to 255");
    message.step = step->get<int>();
  }
  return message;
}

}  // namespace

int export_command(CommandContext& context, const Arguments& args) {
  auto options = command_options(
      "celeriac export",
      "Writes the waiting messages of queues, as they are at one moment, as JSON lines with their exact "
      "bytes. The queues are not changed.");
  std::vector<std::string> queues;
  std::string file = "-";
  options->add_option("queues", queues, "the queues")->required();
  options->add_option("-o,--output", file, "file; - is standard output")->capture_default_str();
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;
  KeeperSession session(std::move(*settings));
  auto keeper = session.keeper();
  if (!keeper) return print_keeper_failure(context, keeper.error());

  std::ofstream opened;
  if (file != "-") {
    opened.open(file, std::ios::binary | std::ios::trunc);
    if (!opened) {
      context.err << "Error: cannot write " << file << "\n";
      return exit_code::cannot_create;
    }
  }
  std::ostream& out = file == "-" ? context.out : opened;
  std::uint64_t total = 0;
  for (const auto& queue : queues) {
    auto count = session.wait<std::uint64_t>(
        [&](auto answer) {
          (*keeper)->snapshot(
              queue,
              [&](KeeperSession::Page&& page) {
                for (const auto& message : page) out << line_of(message) << "\n";
              },
              answer);
        },
        std::nullopt);
    if (!count) return print_keeper_failure(context, count.error());
    total += *count;
  }
  out.flush();
  if (!out) {
    context.err << "Error: " << file << " could not be written completely\n";
    return exit_code::cannot_create;
  }
  context.err << "Exported " << total << " message" << (total == 1 ? "" : "s") << ".\n";
  return exit_code::ok;
}

int import_command(CommandContext& context, const Arguments& args) {
  auto options = command_options("celeriac import",
                                 "Puts messages that `celeriac export` wrote at the end of their queues, "
                                 "byte for byte. The whole file is "
                                 "checked before the first message is sent.");
  std::string file, queue;
  options->add_option("file", file, "what export wrote")->required();
  options->add_option("--queue", queue, "into this queue instead");
  if (auto code = read_command(context, *options, args)) return *code;
  auto settings = load_command_settings(context);
  if (!settings) return exit_code::usage;

  std::ifstream in(file, std::ios::binary);
  if (!in) {
    context.err << "Error: cannot read " << file << "\n";
    return exit_code::usage;
  }
  std::string line;
  std::uint64_t number = 0, count = 0;
  while (std::getline(in, line)) {
    ++number;
    if (line.empty()) continue;
    if (auto message = read_line(line, queue); !message) {
      context.err << "Error: " << file << ", line " << number << ": " << message.error().what
                  << "\nNothing was imported.\n";
      return exit_code::usage;
    }
    ++count;
  }
  KeeperSession session(std::move(*settings));
  auto keeper = session.keeper();
  if (!keeper) return print_keeper_failure(context, keeper.error());
  in.clear();
  in.seekg(0);
  std::uint64_t put = 0;
  KeeperSession::Page page;
  for (bool more = true; more;) {
    more = static_cast<bool>(std::getline(in, line));
    if (more && !line.empty())
      if (auto message = read_line(line, queue)) page.push_back(std::move(*message));
    if (page.empty() || (more && page.size() < batch)) continue;
    auto done = session.wait<std::uint64_t>([&](auto answer) { (*keeper)->put(std::move(page), answer); });
    if (!done) {
      context.err << "Imported " << put << " of " << count << " messages, then:\n";
      return print_keeper_failure(context, done.error());
    }
    put += *done;
    page.clear();
  }
  context.out << "Imported " << put << " message" << (put == 1 ? "" : "s") << ".\n";
  return exit_code::ok;
}

}  // namespace celeriac
