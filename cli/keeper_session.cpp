#include "cli/keeper_session.hpp"

#include <algorithm>
#include <iostream>

namespace celeriac {
namespace {

constexpr std::size_t page_size = 100;

}  // namespace

Expected<QueueKeeper*> KeeperSession::keeper() {
  // The session's own connection tells whether the server is there, and when it goes away.
  auto connected = broker();
  if (!connected) return tl::unexpected(connected.error());
  if (!keeper_) {
    auto made = make_queue_keeper(io(), settings());
    if (!made) return tl::unexpected(made.error());
    keeper_ = std::move(*made);
  }
  return keeper_.get();
}

Expected<std::uint64_t> KeeperSession::find(QueueKeeper& keeper, const std::string& queue,
                                            const MessageFilter& filter, std::uint64_t enough,
                                            const std::function<Expected<std::uint64_t>(Page&&)>& visit) {
  std::uint64_t found = 0;
  for (std::size_t offset = 0; found < enough;) {
    const auto count =
        filter.empty() ? std::min<std::uint64_t>(page_size, enough - found) : std::uint64_t{page_size};
    auto page = wait<Page>([&](auto answer) { keeper.waiting(queue, offset, count, answer); });
    if (!page) return tl::unexpected(page.error());
    if (page->empty()) break;
    const auto size = page->size();
    std::erase_if(*page, [&](const WaitingMessage& message) {
      return !filter.empty() && !filter.matches(message_facts(message.bytes), message.bytes);
    });
    if (page->size() > enough - found)
      page->erase(page->begin() + static_cast<std::ptrdiff_t>(enough - found), page->end());
    std::uint64_t gone = 0;
    if (!page->empty()) {
      found += page->size();
      auto visited = visit(std::move(*page));
      if (!visited) return visited;
      gone = *visited;
    }
    offset += size - std::min<std::uint64_t>(gone, size);
  }
  return found;
}

void add_filter_options(CLI::App& options, MessageFilter& filter) {
  options.add_option("--task", filter.task, "only this task; * and ? as in a shell")->type_name("NAME");
  options.add_option("--id", filter.id, "only the task with this id")->type_name("ID");
  options.add_option("--contains", filter.contains, "only with this text in name, id or arguments")
      ->type_name("TEXT");
}

bool asks_and_agrees(CommandContext& context, const std::string& question) {
  context.out << question << " [y/N]: " << std::flush;
  std::string answer;
  if (!std::getline(std::cin, answer)) context.out << "\n";
  return answer == "y" || answer == "Y" || answer == "yes" || answer == "Yes" || answer == "YES";
}

int print_keeper_failure(CommandContext& context, const Error& error) {
  context.err << "Error: " << error.what << "\n";
  return exit_code::unavailable;
}

}  // namespace celeriac
