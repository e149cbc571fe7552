// What the commands share that look into queues and rearrange them.
#pragma once

#include "cli/message_facts.hpp"
#include "cli/session.hpp"
#include "queues/queue_keeper.hpp"

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace celeriac {

// A Session whose broker can be looked into.
class KeeperSession : public Session {
 public:
  using Session::Session;

  // Connected, or an error for an operator.
  Expected<QueueKeeper*> keeper();

  // Waiting messages of the queue that the filter means, in the order of delivery, handed over page by
  // page. `visit` answers how many of its page are no longer in the queue, and is not called again after
  // `enough` messages.
  using Page = std::vector<WaitingMessage>;
  Expected<std::uint64_t> find(QueueKeeper& keeper, const std::string& queue, const MessageFilter& filter,
                               std::uint64_t enough,
                               const std::function<Expected<std::uint64_t>(Page&&)>& visit);

 private:
  std::unique_ptr<QueueKeeper> keeper_;
};

void add_filter_options(CLI::App& options, MessageFilter& filter);

// Asks on the terminal; false unless the answer is yes.
bool asks_and_agrees(CommandContext& context, const std::string& question);

int print_keeper_failure(CommandContext& context, const Error& error);

}  // namespace celeriac
