// A subcommand of hone: its name, what it is for, its options, and what it does.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace hone::experiments {

/// What to do when the command line was read. Returns the exit code.
using Action = std::function<int()>;

struct Command {
  const char* name;
  const char* purpose;
  /// Adds its options; the action owns where they are stored. `line` is the whole command line, for the record.
  std::function<Action(CLI::App& command, const std::string& line)> add_options;
};

/// The action of a command whose options record the command line.
template <class Options>
Action action_of(CLI::App& command, const std::string& line, void (*add)(CLI::App&, Options&),
                 int (*execute)(const Options&)) {
  const auto options = std::make_shared<Options>();
  options->command_line = line;
  add(command, *options);
  return [options, execute] { return execute(*options); };
}

}  // namespace hone::experiments
