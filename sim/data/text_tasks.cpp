#include "sim/data/text_tasks.hpp"

#include <algorithm>
#include <array>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone {
namespace {

constexpr std::uint64_t letters = 8, numbers_below = 20, copied = 4, opened = 3;
constexpr std::array<std::pair<char, char>, 3> pairs = {{{'(', ')'}, {'[', ']'}, {'{', '}'}}};

/// Draws of one exercise: eight are kept apart for each.
class Draws {
 public:
  Draws(TextTask task, ExerciseUse use, std::uint64_t seed, std::uint64_t number)
      : stream_{seed, Domain::synthetic, first_substream + 3 * std::uint32_t(task) + std::uint32_t(use)},
        next_(8 * number) {}
  std::uint64_t below(std::uint64_t bound) { return hone::below(stream_, next_++, bound); }

 private:
  static constexpr std::uint32_t first_substream = 0x7a5c0000;  // far from the steps that number other substreams

  Stream stream_;
  std::uint64_t next_;
};

}  // namespace

const std::vector<std::string>& text_task_names() {
  static const std::vector<std::string> names = {"copy", "addition", "brackets"};
  return names;
}

TextTask text_task_from_name(std::string_view name, std::string_view where) {
  const auto& names = text_task_names();
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    throw OptionError(fmt::format("{}: task \"{}\" is unknown; did you mean \"{}\"? (known: {})", where, name,
                                  nearest_name(std::string(name), names), fmt::join(names, ", ")));
  return TextTask(at - names.begin());
}

Exercise exercise_of(TextTask task, ExerciseUse use, std::uint64_t seed, std::uint64_t number) {
  Draws draws(task, use, seed, number);
  if (task == TextTask::addition) {
    const std::uint64_t a = draws.below(numbers_below), b = draws.below(numbers_below);
    return {fmt::format("add {}+{}=", a, b), fmt::format("{}\n", a + b)};
  }
  std::string given, answer;
  if (task == TextTask::copy) {
    for (std::uint64_t i = 0; i < copied; ++i) given += char('a' + draws.below(letters));
    return {"copy " + given + "=", given + "\n"};
  }
  for (std::uint64_t i = 0; i < opened; ++i) {
    const auto& [open, close] = pairs[draws.below(pairs.size())];
    given += open, answer.insert(answer.begin(), close);
  }
  return {"close " + given + "=", answer + "\n"};
}

std::string with_exercises(std::string_view text, const std::vector<TextTask>& tasks, double share, ExerciseUse use,
                           std::uint64_t seed) {
  EXPECTS(share >= 0 && share < 1 && !tasks.empty(), "{} tasks with a share of {} of a text", tasks.size(), share);
  std::string mixed;
  double of_tasks = 0;
  std::uint64_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    mixed.append(text, begin, end - begin);
    begin = end;
    if (mixed.back() != '\n') break;  // an exercise begins a line
    while (of_tasks < share * double(mixed.size())) {
      const std::string line = exercise_of(tasks[number % tasks.size()], use, seed, number).line();
      mixed += line, of_tasks += double(line.size()), ++number;
    }
  }
  return mixed;
}

}  // namespace hone
